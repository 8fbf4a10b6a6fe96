import { decide } from "../coordinator/routing/decide.ts";
import {
  type RouteNode,
  type RouteRequest,
  STRATEGIES,
  type StrategyName,
} from "../coordinator/routing/route-node.ts";
import { RouteView } from "../coordinator/routing/route-view.ts";
import { type Figure, progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- route [--seconds 3] [--rounds 3] [--changes 100] [--quick] [--json]

How many leaves the coordinator chooses a second, by strategy, in fleets of 100 and of 10,000: the decision alone, in one
process, without NATS (bench -- command has the whole way). Requests vary in domain, command, required capability and
region, and each is a new object with new words; the view changes --changes times a second meanwhile (a leaf becomes unreachable or comes back, its
round trip or lag changes), and a load report comes with each. Every kind was asked for once before. Best of the rounds.
`;

const options = readOptions(USAGE, { values: ["seconds", "rounds", "changes"] });
const seconds = options.number("seconds", options.quick ? 1 : 3);
const rounds = options.number("rounds", options.quick ? 1 : 3);
const changesPerS = options.number("changes", 100);
const GOAL: Readonly<Record<number, number>> = { 100: 1_000_000, 10000: 100_000 };

const REGIONS = ["eu", "us", "asia", "africa"];
const CAPABILITIES = ["gpu", "camera", "arm", "tpm", "disk"];
/** So many choices between two looks at the clock. */
const STRIDE = 64;
const KINDS = 1_000;

let firstOfKindUs = 0;
const figures: Figure[] = [];
for (const leaves of [100, 10_000]) {
  for (const strategy of STRATEGIES) {
    let best = 0;
    for (let round = 0; round < rounds; round++) best = Math.max(best, measure(leaves, strategy));
    progress(`${leaves} leaves, ${strategy}: ${Math.round(best)}/s`);
    figures.push({
      what: `${leaves.toLocaleString("en-US")} leaves, ${strategy}`,
      unit: "/s",
      cim: best,
      goal: { least: GOAL[leaves] ?? 0 },
    });
  }
}
figures.push({ what: "10,000 leaves, first time that a kind is asked for", unit: "us", cim: firstOfKindUs });
report(
  `route: decisions a second, 1,000 kinds of request, ${changesPerS} changes of the view a second`,
  figures,
  options,
);

function measure(leaves: number, strategy: StrategyName): number {
  const view = new RouteView();
  for (let n = 0; n < leaves; n++) view.set(leaf(n, 0));
  let [done, changes, chosen] = [0, 0, 0];
  const firstMs = performance.now();
  for (let n = 0; n < KINDS; n++) decide(request(n, strategy), view, 0);
  firstOfKindUs = Math.max(firstOfKindUs, ((performance.now() - firstMs) * 1000) / KINDS);
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  for (let nowMs = startMs; nowMs < endMs; nowMs = performance.now()) {
    for (const due = ((nowMs - startMs) / 1000) * changesPerS; changes < due; changes++) {
      const n = (changes * 7919) % leaves;
      view.set(leaf(n, changes));
      view.setLoad(`leaf${n}`, { reported: (changes % 17) / 4, inFlight: changes % 5 });
    }
    for (let n = 0; n < STRIDE; n++, done++) {
      // A different kind each time, and each kind's own turns.
      if (decide(request((done * 617) % KINDS, strategy), view, done).kind === "chosen") chosen += 1;
    }
  }
  if (chosen < done / 2) throw new Error(`only ${chosen} of ${done} found a leaf: this measures refusals`);
  return done / ((performance.now() - startMs) / 1000);
}

/** A leaf, as it is after so many changes. */
function leaf(n: number, change: number): RouteNode {
  const mixed = n * 31 + change * 17;
  return {
    name: `leaf${n}`,
    region: REGIONS[n % REGIONS.length] as string,
    coordinates: n % 3 === 0 ? { latitude: (n % 160) - 80, longitude: ((n * 7) % 358) - 179 } : null,
    capabilities: CAPABILITIES.filter((_, at) => (n >> at) % 2 === 1),
    health: mixed % 11 === 0 ? "unreachable" : "up",
    doubtful: mixed % 23 === 0,
    domains: n % 4 === 0 ? ["*"] : [`domain${n % 4}`, "domain0", "domain5"],
    handlers: n % 10 === 0 ? [`domain${n % 6}.*`, "domain1.Command3"] : ["*.*"],
    lagS: mixed % 13 === 0 ? 120 : 0,
    rttMs: 0.5 + (mixed % 90),
  };
}

function request(n: number, strategy: StrategyName): RouteRequest {
  return {
    domain: `domain${n % 6}`,
    command: `Command${(n / 6) | 0}`,
    require: n % 5 === 0 ? [] : [CAPABILITIES[n % CAPABILITIES.length] as string],
    near: { region: REGIONS[n % REGIONS.length] as string, coordinates: null },
    strategy,
    maxLagS: 60,
    unannounced: false,
  };
}
