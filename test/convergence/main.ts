import { parseArgs } from "node:util";
import { judgeHistory, TRIED } from "../support/convergence/judge-history.ts";

const USAGE = `npm run convergence -- [--histories 10000] [--seed 1] [--only <part of a name>]

Folds made-up histories of 2 to 7 nodes by every resolver and type, in many orders, with repetitions, partitions, storing and
compacting in between, and compares with each other and with a naive model. Ends with 1 when one differs.`;

const { values } = parseArgs({
  options: {
    histories: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const histories = Number(values.histories);
const seed = Number(values.seed);
const tried = TRIED.filter(([name]) => name.includes(values.only));
if (values.help || !(histories > 0) || !Number.isSafeInteger(seed) || tried.length === 0) {
  console.error(USAGE);
  process.exit(values.help ? 0 : 2);
}

let divergences = 0;
for (const [name, contract] of tried) {
  const beganMs = performance.now();
  let different = 0;
  for (let n = 0; n < histories; n++) {
    const plan = { seed: seed * 10_000_019 + n, nodes: 2 + (n % 6), events: 1 + (n % 31) };
    const fault = await judgeHistory(contract, plan);
    if (fault === undefined) continue;
    if (different++ === 0) console.error(`${name} ${JSON.stringify(plan)}: ${fault}`);
  }
  divergences += different;
  const took = ((performance.now() - beganMs) / 1000).toFixed(1);
  console.log(`${name.padEnd(32)} ${histories} histories, ${different} different, ${took} s`);
}
console.log(`${divergences} divergences`);
process.exitCode = divergences > 0 ? 1 : 0;
