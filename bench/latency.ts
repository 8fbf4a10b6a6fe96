import { Arm, type ArmKind } from "./support/arms.ts";
import { type Figure, progress, report, type Spread, spreadOf } from "./support/figures.ts";
import { appendSteadily, differences, LiveReader, liveTimes } from "./support/live-load.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";

const USAGE = `
npm run bench -- latency [--rates 200,2000,10000] [--seconds 60] [--rounds 2] [--own-copy] [--quick] [--json]

From the call of append on a leaf (client library, group commit) until the event is with a reader of the hub's log, at a
steady rate; all servers sync_interval always and on this machine's one disk. The first second of each round is not
counted. Seconds: at 10,000/s the whole, at lower rates a third. Beside it in turn JetStream's sources with the same
client. --own-copy: the leaf keeps its copy of the log too, and writes every event a second time.
`;

const options = readOptions(USAGE, { values: ["rates", "seconds", "rounds"], flags: ["own-copy"] });
const rates = (options.text("rates") ?? "200,2000,10000").split(",").map(Number);
const seconds = options.number("seconds", options.quick ? 6 : 60);
const rounds = options.number("rounds", options.quick ? 1 : 2);
const GOALS: Readonly<Record<number, { p50?: number; p99?: number }>> = {
  200: { p50: 3, p99: 8 },
  2000: { p50: 25, p99: 45 },
  10000: { p99: 80 },
};

interface Round {
  readonly toAck: Spread;
  readonly toReader: Spread;
  /** Events that were not yet read when the last one was acknowledged. */
  readonly queuedAtEnd: number;
  readonly missing: number;
  readonly cores: Readonly<Record<string, number>>;
}

const results = new Map<number, Record<ArmKind, Round[]>>();
for (const rate of rates) {
  const of: Record<ArmKind, Round[]> = { cim: [], bare: [] };
  results.set(rate, of);
  for (let round = 0; round < rounds; round++) {
    for (const kind of ["cim", "bare"] as const) {
      const one = await measure(kind, rate);
      of[kind].push(one);
      const { toAck, toReader, queuedAtEnd, cores } = one;
      const words = `append p50 ${ms(toAck.p50)} p99 ${ms(toAck.p99)}, to reader p50 ${ms(toReader.p50)} p95 ${ms(toReader.p95)} p99 ${ms(toReader.p99)}`;
      progress(`${rate}/s ${kind}: ${words}, queued ${queuedAtEnd}, cores ${JSON.stringify(cores)}`);
    }
  }
}
report(`latency: append on a leaf to a reader of the hub's log, best of ${rounds}`, figures(), {
  json: options.json,
  details: Object.fromEntries(results),
});

function figures(): Figure[] {
  return [...results].flatMap(([rate, of]) => {
    // The quietest round of each: what else runs on the machine only adds.
    const [mine, theirs] = [quietest(of.cim), quietest(of.bare)];
    const goal = GOALS[rate] ?? {};
    const line = (what: string, pick: (round: Round) => number, most?: number): Figure => ({
      what: `${rate}/s ${what}`,
      unit: what.includes("queued") ? "" : "ms",
      cim: pick(mine),
      bare: pick(theirs),
      ...(most !== undefined && { goal: { most } }),
    });
    return [
      line("acknowledged p50", ({ toAck }) => toAck.p50),
      line("acknowledged p99", ({ toAck }) => toAck.p99),
      line("at the reader p50", ({ toReader }) => toReader.p50, goal.p50),
      line("at the reader p95", ({ toReader }) => toReader.p95),
      line("at the reader p99", ({ toReader }) => toReader.p99, goal.p99),
      line("queued at the end", ({ queuedAtEnd }) => queuedAtEnd),
    ];
  });
}

function quietest(of: readonly Round[]): Round {
  return of.toSorted((a, b) => a.toReader.p99 - b.toReader.p99)[0] as Round;
}

async function measure(kind: ArmKind, ratePerS: number): Promise<Round> {
  await using arm = await Arm.start(kind, {
    leaves: 1,
    ...(!options.flag("own-copy") && { copies: [] }),
  });
  const count = Math.round(ratePerS * (ratePerS >= 10_000 ? seconds : Math.max(4, seconds / 3)));
  const times = liveTimes(count);
  const domain = "orders";
  await using reader = await LiveReader.start(await arm.connect(arm.hub), domain, times);
  const reading = reader.readAll(count);
  const before = await cpuOf(arm);
  const startMs = performance.now();
  await appendSteadily(arm.leaf(), times, { ratePerS, from: 0, to: count, domain });
  const queuedAtEnd = count - reader.read;
  const elapsedS = (performance.now() - startMs) / 1000;
  const after = await cpuOf(arm);
  await reading;
  const skip = Math.min(count - 1, ratePerS);
  return {
    toAck: spreadOf(differences(times.ackedMs, times.begunMs, skip)),
    toReader: spreadOf(differences(times.readMs, times.begunMs, skip)),
    queuedAtEnd,
    missing: count - reader.read,
    cores: Object.fromEntries(
      Object.entries(after).map(([name, s]) => [name, +((s - (before[name] ?? 0)) / elapsedS).toFixed(2)]),
    ),
  };
}

async function cpuOf(arm: Arm): Promise<Record<string, number>> {
  const used: Record<string, number> = {
    bench: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  };
  for (const node of [arm.hub, arm.leaf()]) {
    if (node.nats) used[`${node.name} nats`] = (await processUse(node.nats.pid)).cpuS;
    if (node.daemon) used[`${node.name} daemon`] = (await processUse(node.daemon.pid)).cpuS;
  }
  return used;
}

function ms(value: number): string {
  return `${value.toFixed(1)}`;
}
