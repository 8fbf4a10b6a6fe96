import { setTimeout as sleep } from "node:timers/promises";
import type { LabNode } from "../lab/lab-node.ts";
import { Arm, type ArmKind } from "./support/arms.ts";
import { writeBacklog } from "./support/backlog.ts";
import { type Figure, median, progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";
import { readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- backlog [--events 200000] [--runs 3] [--quick] [--json]

A backlog of events of 250 bytes written on leaf1 while its link was cut: events per second from the link's return until
the last one can be read in the hub's log, then from the link's return of leaf2 until it is in leaf2's copy. All servers
sync_interval always. Beside it in turn: JetStream's source (made when the link is up, so without its wait) and mirror.
leaf1 itself keeps no copy here; the third figure is the log again while leaf1 also fills its own copy.
`;

const options = readOptions(USAGE, { values: ["events", "runs"] });
const events = options.number("events", options.quick ? 20_000 : 200_000);
const runs = options.number("runs", options.quick ? 1 : 3);
const TIMEOUT_MS = 300_000;

interface Rates {
  readonly log: number;
  readonly copy: number;
  readonly daemonUsPerEvent?: {
    readonly agent: number;
    readonly coordinator: number;
    readonly copying: number;
  };
}

const measured = { cim: [] as Rates[], bare: [] as Rates[], both: [] as number[] };
for (let run = 1; run <= runs; run++) {
  for (const kind of ["cim", "bare"] as const) {
    const rates = await measure(kind);
    measured[kind].push(rates);
    progress(
      `run ${run} ${kind}: log ${Math.round(rates.log)}/s, copy ${Math.round(rates.copy)}/s ${JSON.stringify(rates.daemonUsPerEvent ?? "")}`,
    );
  }
  const both = await measureWithOwnCopy();
  measured.both.push(both);
  progress(`run ${run} cim with leaf1's own copy: log ${Math.round(both)}/s`);
}
const figure = (what: string, least: number | undefined, of: (rates: Rates) => number): Figure => ({
  what,
  unit: "/s",
  cim: median(measured.cim.map(of)),
  bare: median(measured.bare.map(of)),
  ...(least !== undefined && { goal: { least } }),
});
report(
  `backlog: ${events} events of 250 B, median of ${runs}`,
  [
    figure("into the log", 20_000, ({ log }) => log),
    figure("into a copy", 25_000, ({ copy }) => copy),
    { what: "into the log, origin copies at once", unit: "/s", cim: median(measured.both) },
  ],
  { json: options.json, details: measured },
);

async function measure(kind: ArmKind): Promise<Rates> {
  await using arm = await Arm.start(kind, { leaves: 2, copies: ["leaf2"], unsourced: true });
  await arm.cut();
  const last = await writeBacklog(arm.leaf(1), events);
  const hub = await arm.connect(arm.hub);
  const before = await cpu(arm.leaf(1), arm.hub);
  const log = await rate(
    async () => {
      await arm.lab.link("leaf1").set({ state: "up" });
      if (kind === "bare") await untilLinked(() => arm.source());
    },
    () => readableAt(hub, last, { timeoutMs: TIMEOUT_MS, everyMs: 10 }),
  );
  const after = await cpu(arm.leaf(1), arm.hub);
  await sleep(1000);
  const copyBefore = await cpu(arm.leaf(2));
  const leaf2 = await arm.connect(arm.leaf(2));
  const copy = await rate(
    async () => {
      await arm.lab.link("leaf2").set({ state: "up" });
      if (kind === "bare") await untilLinked(() => arm.mirror(arm.leaf(2)));
    },
    () => readableAt(leaf2, last, { timeoutMs: TIMEOUT_MS, everyMs: 10 }),
  );
  const copyAfter = await cpu(arm.leaf(2));
  if (kind === "bare") return { log, copy };
  const used = (from: readonly number[], to: readonly number[], at: number) =>
    Math.round((((to[at] ?? 0) - (from[at] ?? 0)) / events) * 1e6);
  return {
    log,
    copy,
    daemonUsPerEvent: {
      agent: used(before, after, 0),
      coordinator: used(before, after, 1),
      copying: used(copyBefore, copyAfter, 0),
    },
  };
}

async function measureWithOwnCopy(): Promise<number> {
  await using arm = await Arm.start("cim", { leaves: 1 });
  await arm.cut();
  const last = await writeBacklog(arm.leaf(1), events);
  const hub = await arm.connect(arm.hub);
  return await rate(
    () => arm.lab.link("leaf1").set({ state: "up" }),
    () => readableAt(hub, last, { timeoutMs: TIMEOUT_MS, everyMs: 10 }),
  );
}

/** A leaf's server needs a moment to dial its hub; the bare engine's requests over it would get lost before. */
async function untilLinked(make: () => Promise<void>): Promise<void> {
  await sleep(500);
  await make();
}

async function rate(begin: () => Promise<void>, end: () => Promise<number>): Promise<number> {
  const started = performance.now();
  await begin();
  return events / (((await end()) - started) / 1000);
}

async function cpu(...nodes: LabNode[]): Promise<number[]> {
  return Promise.all(nodes.map(async ({ daemon }) => (daemon ? (await processUse(daemon.pid)).cpuS : 0)));
}
