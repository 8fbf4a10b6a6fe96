import { HybridClock, type HybridTime } from "../clock/hybrid-clock.ts";
import { committedTime, effectiveTime, timeOfStamp } from "../clock/stamp.ts";
import { commitLane, outboxLane, raise, type VersionVector } from "../clock/version-vector.ts";
import type { FoldEvent } from "../resolve/fold-event.ts";
import { below, chance, oneOf, type Random } from "./seeded-random.ts";

/** What a write may look at: the data of the events that its program had read. */
export type MakeData = (random: Random, read: readonly unknown[]) => unknown;

export interface HistoryPlan {
  readonly random: Random;
  /** How many nodes write. */
  readonly nodes: number;
  readonly events: number;
  readonly data: MakeData;
}

interface Draft {
  readonly seq: number;
  readonly clock: HybridTime;
  readonly seen: VersionVector;
  readonly clockless: boolean;
  readonly data: unknown;
}

interface Node {
  readonly name: string;
  readonly lane: string;
  readonly clock: HybridClock;
  readonly skewMs: number;
  outbox: Draft[];
  seq: number;
  /** So much of the log is in its copy. */
  copied: number;
  /** What a program of it read last, and may write by much later. */
  context: VersionVector;
  read: readonly unknown[];
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const BEGIN_MS = Date.UTC(2026, 0, 1);

/**
 * Events of one aggregate as a fleet would have written them, in the log's order: nodes with clocks that are off, away for
 * hours or months, programs that write by what they read long ago, some that don't say what they read, vectors that name nodes
 * long gone or events that never were, nodes that are retired on the way, and domains that become strong.
 */
export function sampleHistory({ random, nodes: count, events, data }: HistoryPlan): FoldEvent[] {
  let nowMs = BEGIN_MS;
  const nodes = Array.from({ length: count }, (_, n): Node => {
    const skewMs = oneOf(random, [0, 0, 0, 3 * MINUTE, -3 * MINUTE, 400 * DAY, -400 * DAY]);
    const clock = new HybridClock(() => nowMs + skewMs);
    const [name, lane] = [`n${n}`, outboxLane(`n${n}`, 1 + below(random, 2))];
    return { name, lane, clock, skewMs, outbox: [], seq: 0, copied: 0, context: new Map(), read: [] };
  });
  const log: FoldEvent[] = [];
  let index = 0;
  let retired: ReadonlySet<string> = new Set();

  const read = (node: Node) => {
    node.copied = log.length;
    const context = new Map<string, number>();
    const seen: unknown[] = [];
    for (const event of log) {
      raise(context, event.dot.lane, event.dot.seq);
      node.clock.seen(timeOfStamp(event.stamp));
      seen.push(event.data);
    }
    for (const draft of node.outbox) {
      raise(context, node.lane, draft.seq);
      node.clock.seen(draft.clock);
      seen.push(draft.data);
    }
    node.context = context;
    node.read = seen;
  };

  const write = (node: Node) => {
    // Other aggregates' events have numbers too.
    node.seq += 1 + below(random, 3);
    const clockless = chance(random, 0.2);
    const seen = new Map(clockless ? [[node.lane, node.seq - 1]] : node.context);
    if (chance(random, 0.05)) seen.set(`gone${below(random, 3)}/${1 + below(random, 9)}`, below(random, 1e6));
    if (chance(random, 0.02)) seen.set(oneOf(random, nodes as [Node, ...Node[]]).lane, below(random, 40));
    const clock = clockless ? { ms: nowMs + node.skewMs, counter: 0 } : node.clock.now();
    node.outbox.push({ seq: node.seq, clock, seen, clockless, data: data(random, node.read) });
  };

  const commit = (node: Node) => {
    index += 1 + below(random, 3);
    const dot = { lane: commitLane(node.name), seq: index };
    const stamp = { ...committedTime(nowMs, index), ...dot };
    const where = { id: `${node.name}/c:${index}`, domain: "sample", aggregate: "one", type: "Committed" };
    const facts = { ...where, dot, stamp, index, ingestMs: nowMs, seen: node.context, clockless: false };
    log.push({ ...facts, committed: true, retired, data: data(random, node.read) });
  };

  const ship = (node: Node) => {
    for (const { seq, clock, seen, clockless, data: body } of node.outbox) {
      index += 1 + below(random, 3);
      const stamp = { ...effectiveTime(clock, nowMs, index), lane: node.lane, seq };
      const dot = { lane: node.lane, seq };
      const where = { id: `${node.lane}:${seq}`, domain: "sample", aggregate: "one", type: "Written" };
      log.push({ ...where, dot, stamp, index, ingestMs: nowMs, seen, clockless, retired, data: body });
    }
    node.outbox = [];
  };

  let written = 0;
  const strongFrom = chance(random, 0.2) ? below(random, events) : events;
  while (written < events) {
    const node = oneOf(random, nodes as [Node, ...Node[]]);
    const passing = random();
    if (passing < 0.3) nowMs += below(random, 5);
    else if (passing < 0.5) nowMs += below(random, 10 * MINUTE);
    else if (passing < 0.53) nowMs += below(random, 60 * DAY);
    const doing = random();
    if (retired.has(node.name)) continue;
    if (doing < 0.5) {
      if (chance(random, 0.6)) read(node);
      if (written < strongFrom) write(node);
      else commit(node);
      written++;
    } else if (doing < 0.8) ship(node);
    else if (doing < 0.98) read(node);
    else if (retired.size < nodes.length - 1) {
      ship(node);
      retired = new Set([...retired, node.name]);
    }
  }
  for (const node of nodes) ship(node);
  return log;
}
