import { setTimeout as sleep } from "node:timers/promises";
import { Arm, type ArmKind } from "./support/arms.ts";
import { writeBacklog } from "./support/backlog.ts";
import { type Figure, progress, report, type Spread, spreadOf } from "./support/figures.ts";
import { appendSteadily, differences, LiveReader, liveTimes } from "./support/live-load.ts";
import { readOptions } from "./support/options.ts";
import { connectAsDaemon, SimulatedUplink } from "./support/simulated-uplink.ts";
import { readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- fairness [--events 200000] [--rate 100] [--leaves 10] [--runs 2] [--hub-only] [--quick] [--json]

Ten leaves: leaf1 comes back with a backlog while nine others append live, 100 events a second each. From the call of
append until a live event is with a reader of the hub's log: as long as the backlog is under way, and, for comparison,
after it; and the part of it that is after the leaf's own acknowledgement. The eleven servers share one disk and sync
every write, which no fleet in the field does: the time before the backlog is what that costs. The leaves keep no copies here: ten copies of everything on one disk would be what is measured. Beside it in
turn JetStream's sources.
--hub-only: only leaf1 is real; the live ones are the agent's uplink machine on a connection to the hub, and the time is
until the sequencer's answer. That is the fairness alone, without eleven synced servers on one machine; nothing beside it.
`;

const options = readOptions(USAGE, { values: ["events", "rate", "leaves", "runs"], flags: ["hub-only"] });
const events = options.number("events", options.quick ? 40_000 : 200_000);
const ratePerS = options.number("rate", 100);
const leaves = options.number("leaves", 10);
const runs = options.number("runs", options.quick ? 1 : 2);
const LIVE = "live";
/** Before the backlog comes, and after it. */
const QUIET_S = 3;
/** Of the quiet time the last part: the first appends of new clients are slower. */
const BEFORE_MS = 2000;
const BACKLOG_TIMEOUT_MS = 600_000;

interface Round {
  readonly before: Spread;
  readonly during: Spread;
  readonly duringFromAck: Spread;
  readonly after: Spread;
  readonly backlogPerS: number;
}

if (options.flag("hub-only")) await hubOnly();
else await wholeFleet();

async function hubOnly(): Promise<void> {
  const found: Awaited<ReturnType<typeof measureHub>>[] = [];
  for (let run = 1; run <= runs; run++) found.push(await measureHub());
  const best = found.toSorted((a, b) => a.during.p99 - b.during.p99)[0];
  if (!best) return;
  const { before, during, backlogPerS } = best;
  report(
    `fairness at the hub alone: ${leaves - 1} simulated leaves at ${ratePerS}/s beside ${events} events, best of ${runs}`,
    [
      { what: "live before the backlog p99", unit: "ms", cim: before.p99 },
      { what: "live during the backlog p50", unit: "ms", cim: during.p50 },
      { what: "live during the backlog p95", unit: "ms", cim: during.p95 },
      { what: "live during the backlog p99", unit: "ms", cim: during.p99, goal: { most: 50 } },
      { what: "backlog into the log", unit: "/s", cim: backlogPerS },
    ],
    { json: options.json, details: { found } },
  );
}

async function wholeFleet(): Promise<void> {
  const rounds: Record<ArmKind, Round[]> = { cim: [], bare: [] };
  for (let run = 1; run <= runs; run++) {
    for (const kind of ["cim", "bare"] as const) {
      const round = await measure(kind);
      rounds[kind].push(round);
      const { during, after, backlogPerS } = round;
      progress(
        `run ${run} ${kind}: live during p50 ${during.p50.toFixed(1)} p99 ${during.p99.toFixed(1)} ms (${during.count}), after p50 ${after.p50.toFixed(1)} p99 ${after.p99.toFixed(1)}, backlog ${Math.round(backlogPerS)}/s`,
      );
    }
  }
  const quietest = (of: readonly Round[]) => of.toSorted((a, b) => a.during.p99 - b.during.p99)[0] as Round;
  const [cim, bare] = [quietest(rounds.cim), quietest(rounds.bare)];
  const line = (what: string, unit: string, pick: (round: Round) => number, most?: number): Figure => ({
    what,
    unit,
    cim: pick(cim),
    bare: pick(bare),
    ...(most !== undefined && { goal: { most } }),
  });
  report(
    `fairness: ${leaves - 1} live leaves at ${ratePerS}/s beside one with ${events} events, best of ${runs}`,
    [
      line("live during the backlog p50", "ms", ({ during }) => during.p50),
      line("live during the backlog p95", "ms", ({ during }) => during.p95),
      line("live during the backlog p99", "ms", ({ during }) => during.p99, 50),
      line("of that after the acknowledgement p99", "ms", ({ duringFromAck }) => duringFromAck.p99),
      line("live before the backlog p99", "ms", ({ before }) => before.p99),
      line("live after it p99", "ms", ({ after }) => after.p99),
      line("backlog into the log", "/s", ({ backlogPerS }) => backlogPerS),
    ],
    { json: options.json, details: rounds },
  );
}

async function measureHub() {
  await using arm = await Arm.start("cim", { leaves: 1, copies: [] });
  const link = arm.lab.link("leaf1");
  await link.set({ state: "down" });
  const last = await writeBacklog(arm.leaf(1), events, "backlog");
  const hub = await arm.connect(arm.hub);
  const connections = await connectAsDaemon(arm.hub, leaves - 1);
  const [before, during]: [number[], number[]] = [[], []];
  let into: number[] = [];
  const uplinks = connections.map(
    (nc, at) => new SimulatedUplink(nc, `sim-${at + 1}`, (ms) => into.push(ms)),
  );
  const timer = setInterval(() => {
    const due = ((performance.now() - startMs) / 1000) * ratePerS * uplinks.length;
    for (; made < due; made++) {
      const uplink = uplinks[made % uplinks.length];
      if (uplink?.ready) uplink.make();
    }
  }, 1);
  let made = 0;
  const startMs = performance.now();
  try {
    for (const uplink of uplinks) uplink.start();
    await sleep(QUIET_S * 1000);
    into = before;
    await sleep(BEFORE_MS);
    into = during;
    const backMs = performance.now();
    await link.set({ state: "up" });
    const doneMs = await readableAt(hub, last, { timeoutMs: BACKLOG_TIMEOUT_MS, everyMs: 20 });
    return {
      before: spreadOf(before),
      during: spreadOf(during),
      backlogPerS: events / ((doneMs - backMs) / 1000),
    };
  } finally {
    clearInterval(timer);
    await Promise.all(connections.map((nc) => nc.close()));
  }
}

async function measure(kind: ArmKind): Promise<Round> {
  await using arm = await Arm.start(kind, { leaves, copies: [], unsourced: true });
  const link = arm.lab.link("leaf1");
  await link.set({ state: "down" });
  const last = await writeBacklog(arm.leaf(1), events, "backlog");
  if (kind === "bare") await arm.source();
  const each = Math.round(ratePerS * (2 * QUIET_S + events / (kind === "cim" ? 12_000 : 3_000)));
  const times = liveTimes(each * (leaves - 1));
  const hub = await arm.connect(arm.hub);
  await using reader = await LiveReader.start(hub, LIVE, times);
  const reading = reader.readAll(times.begunMs.length);
  const appending = arm.lab.leaves.slice(1).map((leaf, at) => {
    const span = { from: at * each, to: (at + 1) * each };
    return appendSteadily(leaf, times, { ratePerS, ...span, domain: LIVE });
  });
  await sleep(QUIET_S * 1000);
  const backMs = performance.now();
  await link.set({ state: "up" });
  const doneMs = await readableAt(hub, last, { timeoutMs: BACKLOG_TIMEOUT_MS, everyMs: 20 });
  await Promise.all([...appending, reading]);
  const toReader = (from: number, to: number, since = times.begunMs) => {
    const within = since.map((ms, n) =>
      (times.begunMs[n] as number) >= from && (times.begunMs[n] as number) < to ? ms : Number.NaN,
    );
    return spreadOf(differences(times.readMs, within));
  };
  return {
    before: toReader(backMs - BEFORE_MS, backMs),
    during: toReader(backMs, doneMs),
    duringFromAck: toReader(backMs, doneMs, times.ackedMs),
    after: toReader(doneMs, Number.POSITIVE_INFINITY),
    backlogPerS: events / ((doneMs - backMs) / 1000),
  };
}
