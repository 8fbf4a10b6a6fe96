import { seededRandom } from "../support/load-seed.ts";
import { type Fault, type FaultKind, faultKinds, linkKinds, type NodePart, type Schedule } from "./fault.ts";

export interface ScheduleOptions {
  readonly seed: number;
  readonly nodes: Schedule["nodes"];
  /** How many. */
  readonly faults: number;
  /** Mean time from one beginning to the next; default 1,150. */
  readonly everyMs?: number;
  /** Only these; default all. */
  readonly kinds?: readonly FaultKind[];
  /** Which processes are killed, paused and restarted; default both, alone and together. */
  readonly parts?: readonly NodePart[];
  /** Nodes whose disk can be filled; default: the last leaf. */
  readonly disks?: readonly string[];
  /** How many faults may hold at the same time; default 3. */
  readonly overlap?: number;
}

const weights: Readonly<Record<FaultKind, number>> = {
  cut: 4,
  blackhole: 3,
  stall: 1,
  delay: 1,
  rate: 1,
  kill: 6,
  pause: 4,
  restart: 2,
  "disk-full": 1,
  reader: 2,
};
/**
 * Shortest and longest, ms; short ones are more frequent. Pings give a silent link up after some three seconds, so
 * that black holes and pauses end on both sides of that.
 */
const durations: Readonly<Record<FaultKind, readonly [number, number]>> = {
  cut: [50, 3000],
  blackhole: [200, 5000],
  stall: [500, 3000],
  delay: [500, 3000],
  rate: [500, 3000],
  kill: [0, 1500],
  pause: [50, 4500],
  restart: [0, 400],
  "disk-full": [300, 2000],
  reader: [0, 500],
};
/** What a process is given to be ready again before the next fault is its own. */
const recoverMs = 1500;
/** After so many faults everything is mended for a moment. */
const calmEvery = 25;
const calmMs = 1500;
const hubShare = 0.25;

/** Seed and options make the schedule: the same on every machine. */
export function makeSchedule(options: ScheduleOptions): Schedule {
  const { seed, nodes, everyMs = 1150, kinds = faultKinds, parts = ["nats", "daemon", "both"] } = options;
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const leaves = nodes.filter(({ role }) => role === "leaf").map(({ name }) => name);
  const hubs = nodes.filter(({ role }) => role === "hub").map(({ name }) => name);
  const disks = options.disks ?? leaves.slice(-1);
  const busyUntil = new Map<string, number>();
  const faults: Fault[] = [];

  const free = (names: readonly string[], kind: FaultKind, atMs: number) =>
    names.filter((name) => (busyUntil.get(resourceOf(kind, name)) ?? 0) <= atMs);
  const candidates = (kind: FaultKind, atMs: number) => {
    if (kind === "disk-full") return free(disks, kind, atMs);
    if (linkKinds.has(kind)) return free(leaves, kind, atMs);
    const hubTurn = random() < hubShare || leaves.length === 0;
    return free(hubTurn ? hubs : leaves, kind, atMs);
  };
  const weighted = (): FaultKind => {
    let left = random() * kinds.reduce((sum, kind) => sum + weights[kind], 0);
    for (const kind of kinds) {
      left -= weights[kind];
      if (left < 0) return kind;
    }
    return kinds[0] as FaultKind;
  };

  let atMs = 0;
  for (let tries = 0; faults.length < options.faults; tries++) {
    if (tries > options.faults * 1000)
      throw new RangeError(`no schedule: these kinds fit no node (${kinds.join(", ")})`);
    atMs += everyMs * (0.3 + 1.4 * random());
    if (faults.length > 0 && faults.length % calmEvery === 0 && faults.at(-1)?.n === faults.length) {
      const lastEnd = Math.max(...busyUntil.values());
      if (lastEnd > atMs - calmMs) atMs = lastEnd + calmMs;
    }
    const holding = [...busyUntil.values()].filter((untilMs) => untilMs > atMs).length;
    if (holding >= (options.overlap ?? 3)) {
      // The pace is kept: the next one comes as soon as one is over.
      atMs = Math.min(...[...busyUntil.values()].filter((untilMs) => untilMs > atMs));
    }
    const kind = weighted();
    const where = candidates(kind, atMs);
    if (where.length === 0) continue;
    const node = pick(where);
    const [shortest, longest] = durations[kind];
    const forMs = Math.round(shortest + (longest - shortest) * random() ** 2);
    const condition = conditionOf(kind, random);
    const part = kind === "kill" || kind === "pause" || kind === "restart" ? pick(parts) : undefined;
    faults.push({
      n: faults.length + 1,
      atMs: Math.round(atMs),
      forMs,
      kind,
      node,
      ...(part && { part }),
      ...(condition && { condition }),
    });
    const recovers = linkKinds.has(kind) || kind === "reader" ? 0 : recoverMs;
    busyUntil.set(resourceOf(kind, node), atMs + forMs + recovers);
  }
  return { version: 1, seed, nodes: nodes.map(({ name, role }) => ({ name, role })), faults };
}

/** What can have one fault at a time: a link, a node's processes (with its disk), a reader. */
export function resourceOf(kind: FaultKind, node: string): string {
  if (linkKinds.has(kind)) return `link of ${node}`;
  return kind === "reader" ? `reader of ${node}` : `processes of ${node}`;
}

/** When the last fault of a schedule is mended, as planned. */
export function lastHealMs({ faults }: Schedule): number {
  return faults.reduce((last, { atMs, forMs }) => Math.max(last, atMs + forMs), 0);
}

/** The first `until` faults, or those of some kinds: a failing schedule cut down. */
export function cutSchedule(
  schedule: Schedule,
  { until, only }: { readonly until?: number; readonly only?: readonly FaultKind[] },
): Schedule {
  const faults = schedule.faults.filter(
    ({ n, kind }) => (until === undefined || n <= until) && (only === undefined || only.includes(kind)),
  );
  return { ...schedule, faults };
}

function conditionOf(kind: FaultKind, random: () => number): string | undefined {
  const between = (low: number, high: number) => Math.round(low + (high - low) * random());
  switch (kind) {
    case "cut":
      return "down";
    case "blackhole":
      return "blackhole";
    case "stall":
      return `stall=${between(2, 40)}%`;
    case "delay":
      return `delay=${between(20, 600)}ms`;
    case "rate":
      return `rate=${between(64, 2000)}kbit`;
    default:
      return undefined;
  }
}
