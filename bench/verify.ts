import { Arm } from "./support/arms.ts";
import { writeBacklog } from "./support/backlog.ts";
import { countingCost } from "./support/counting-cost.ts";
import { progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";
import { readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- verify [--events 1000000] [--quick] [--json]

The proof that a copy and an outbox hold what the log holds: seconds of a comparison by sums, and of one that reads all that
is stored on both nodes' disks, over events of 250 bytes; and what counting costs the sequencer: CPU of the counting alone
in a process of its own, as a share of the coordinator's CPU for the same events on their way into the log. All servers
sync_interval always.
`;

const options = readOptions(USAGE, { values: ["events"] });
const events = options.number("events", options.quick ? 50_000 : 1_000_000);
const TIMEOUT_MS = 900_000;
const GOAL_S = 30;
const GOAL_SHARE = 5;

await using arm = await Arm.start("cim", { leaves: 1 });
await arm.cut();
const last = await writeBacklog(arm.leaf(1), events);
const [hub, leaf] = [await arm.connect(arm.hub), await arm.connect(arm.leaf(1))];
const coordinator = arm.hub.daemon?.pid ?? 0;
const before = (await processUse(coordinator)).cpuS;
await arm.lab.link("leaf1").set({ state: "up" });
await readableAt(hub, last, { timeoutMs: TIMEOUT_MS, everyMs: 100 });
const usPerEvent = (((await processUse(coordinator)).cpuS - before) / events) * 1e6;
progress(`in the log; the coordinator took ${usPerEvent.toFixed(1)} us an event`);
await readableAt(leaf, last, { timeoutMs: TIMEOUT_MS, everyMs: 100 });

const plainS = await verified("");
const deepS = await verified("deep=true");
const countingUs = countingCost();
report(
  `verify: ${events} events of 250 B in a log, a copy and an outbox`,
  [
    { what: "by sums, and the outbox by its server", unit: "s", cim: plainS, goal: { most: GOAL_S } },
    { what: "deep: all that is stored, from the disks", unit: "s", cim: deepS, goal: { most: GOAL_S } },
    { what: "counting an event", unit: "us", cim: countingUs },
    {
      what: "counting, of the coordinator's CPU",
      unit: "%",
      cim: (countingUs / usPerEvent) * 100,
      goal: { most: GOAL_SHARE },
    },
  ],
  { json: options.json, details: { usPerEvent } },
);

/** Seconds until everything was compared; fails when something differs or could not be. */
async function verified(query: string): Promise<number> {
  const started = performance.now();
  for (let run = ""; ; ) {
    const answer = await fetch(`${arm.hub.httpUrl}/api/v1/verify?${query}${run}`);
    const state = (await answer.json()) as {
      run: number;
      result: { findings: { difference: unknown }[]; notCompared: unknown[] } | null;
    };
    if (state.result) {
      const { findings, notCompared } = state.result;
      // The hub has no events of its own.
      if (findings.length < 2 || findings.some(({ difference }) => difference) || notCompared.length > 1)
        throw new Error(`not proven: ${JSON.stringify(state.result)}`);
      return (performance.now() - started) / 1000;
    }
    run = `&run=${state.run}`;
  }
}
