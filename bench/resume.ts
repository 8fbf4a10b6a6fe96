import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LabNode } from "../lab/lab-node.ts";
import { Arm, type ArmKind } from "./support/arms.ts";
import { eventBody } from "./support/events.ts";
import { type Figure, progress, report, spreadOf } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";
import { acceptsAt, readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- resume [--runs 20] [--bare-runs 3] [--fault hub|leaf|cut|both] [--down-ms 500] [--quick] [--json]

How long a fleet needs to ship again: from the return of what was gone (the killed server takes TCP connections; the cut
link is up) until the first event written meanwhile on the leaf can be read in the hub's log. Where the leaf itself was
gone the event is written as soon as it takes one, and that counts. The daemons run on and recover by themselves.
Beside it the bare engine's sources, fewer runs because each takes up to 40 s.
`;

const FAULTS = {
  hub: "hub's server killed",
  leaf: "leaf's server killed",
  cut: "link cut for 5 s",
  both: "both servers killed",
} as const;
type Fault = keyof typeof FAULTS;

const options = readOptions(USAGE, { values: ["runs", "bare-runs", "fault", "down-ms"] });
const runs = options.number("runs", options.quick ? 3 : 20);
const bareRuns = options.number("bare-runs", options.quick ? 1 : 3);
const wanted = options.text("fault");
const faults = (Object.keys(FAULTS) as Fault[]).filter((fault) => wanted === undefined || wanted === fault);
const CUT_MS = 5000;
const DOWN_MS = options.number("down-ms", 500);
const RESUME_TIMEOUT_MS = 90_000;

let events = 0;
await using cim = await Arm.start("cim", { leaves: 1 });
await using bare = await Arm.start("bare", { leaves: 1 });
const arms = { cim, bare };
const connections = {
  cim: { hub: await cim.connect(cim.hub), leaf: await cim.connect(cim.leaf()) },
  bare: { hub: await bare.connect(bare.hub), leaf: await bare.connect(bare.leaf()) },
};
const resumed = new Map<Fault, Record<ArmKind, number[]>>();
for (const fault of faults) {
  const of: Record<ArmKind, number[]> = { cim: [], bare: [] };
  resumed.set(fault, of);
  for (let run = 0; run < runs; run++) {
    of.cim.push(await once("cim", fault));
    // Spread over the runs, so that both see the same machine.
    if (of.bare.length < Math.round(((run + 1) * bareRuns) / runs)) of.bare.push(await once("bare", fault));
  }
  progress(
    `${fault}: cim ${of.cim.map(Math.round).join(" ")} | bare ${of.bare.map(Math.round).join(" ")} ms`,
  );
}
const figures = [...resumed].flatMap(([fault, of]): Figure[] => {
  const [mine, theirs] = [spreadOf(of.cim), spreadOf(of.bare)];
  return [
    { what: `${FAULTS[fault]}, p50`, unit: "ms", cim: mine.p50, bare: theirs.p50 },
    { what: `${FAULTS[fault]}, p95`, unit: "ms", cim: mine.p95, bare: theirs.p95, goal: { most: 1000 } },
  ];
});
report(`resume: ${runs} runs, bare ${bareRuns}`, figures, {
  json: options.json,
  details: Object.fromEntries(resumed),
});

async function once(kind: ArmKind, fault: Fault): Promise<number> {
  const arm = arms[kind];
  const { hub, leaf } = connections[kind];
  // The round before must be over: an event written now goes through, twice, with a pause.
  for (let settle = 0; settle < 2; settle++) {
    await readableAt(hub, await write(leaf), { timeoutMs: RESUME_TIMEOUT_MS });
    await sleep(300);
  }
  const { subject, backAtMs } = await breakAndReturn(arm, fault, leaf);
  return (await readableAt(hub, subject, { timeoutMs: RESUME_TIMEOUT_MS })) - backAtMs;
}

/** Gives the event to be waited for and when what was gone was back. */
async function breakAndReturn(
  arm: Arm,
  fault: Fault,
  leaf: NatsConnection,
): Promise<{ subject: string; backAtMs: number }> {
  const link = arm.lab.link(arm.leaf().name);
  switch (fault) {
    case "hub": {
      await arm.hub.kill("nats");
      const subject = await write(leaf);
      await sleep(DOWN_MS);
      return { subject, backAtMs: await restart(arm.hub) };
    }
    case "leaf": {
      await arm.leaf().kill("nats");
      await sleep(DOWN_MS);
      const backAtMs = await restart(arm.leaf());
      return { subject: await write(leaf), backAtMs };
    }
    case "cut": {
      await link.set({ state: "down" });
      const subject = await write(leaf);
      await sleep(CUT_MS);
      await link.set({ state: "up" });
      return { subject, backAtMs: performance.now() };
    }
    case "both": {
      await Promise.all([arm.hub.kill("nats"), arm.leaf().kill("nats")]);
      await sleep(DOWN_MS);
      const backAtMs = Math.max(...(await Promise.all([restart(arm.hub), restart(arm.leaf())])));
      return { subject: await write(leaf), backAtMs };
    }
  }
}

async function restart(node: LabNode): Promise<number> {
  const started = node.start("nats");
  const atMs = await acceptsAt(node.ports.nats);
  void started.catch(() => undefined);
  return atMs;
}

/** Writes one event, again and again until it is acknowledged; gives its subject. */
async function write(leaf: NatsConnection): Promise<string> {
  const n = ++events;
  const subject = `cim.events.resume.a${n}.Happened`;
  const deadlineMs = performance.now() + RESUME_TIMEOUT_MS;
  for (;;) {
    const answer = await leaf.request(subject, eventBody(n), { timeout: 250 }).catch(() => undefined);
    if (answer?.json<{ seq?: number }>().seq !== undefined) return subject;
    if (performance.now() > deadlineMs) throw new Error("the leaf takes no event");
    await sleep(5);
  }
}
