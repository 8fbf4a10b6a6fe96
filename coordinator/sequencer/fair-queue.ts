import type { ShippedEvent } from "../../shared/protocol/event.ts";
import { weightOf } from "../../shared/protocol/event.ts";
import type { LaneMark } from "../../shared/protocol/origin.ts";
import type { WaitingCommit } from "./commits/waiting-commits.ts";

/** What an origin waits for: events to be logged, a new incarnation, an event to be committed; or its end. */
export type Waiting =
  | WaitingCommit
  | {
      readonly kind: "block";
      readonly token: number;
      readonly incarnation: number;
      readonly events: readonly ShippedEvent[];
      readonly hole?: { readonly after: number; readonly before: number };
    }
  | {
      readonly kind: "incarnate";
      readonly token: number;
      readonly predecessor: number;
      readonly common: LaneMark;
    }
  /** An operator waits, not the node. */
  | { readonly kind: "retire"; readonly token: number };

/** A part of what an origin waits for, chosen for the next batch. */
export interface Portion {
  readonly node: string;
  readonly waiting: Waiting;
  readonly from: number;
  /** Exclusive; for a block, an index into its events. */
  readonly to: number;
  /** Nothing of it is left after this portion. */
  readonly whole: boolean;
}

export interface BatchBounds {
  readonly events: number;
  readonly bytes: number;
  /** Of one origin, also when nobody else waits just now. Default: no bound of its own. */
  readonly eventsOfOne?: number;
}

interface Line {
  readonly node: string;
  readonly waiting: Waiting[];
  /** Events of the first block that were handed out before. */
  done: number;
}

/** No node's name has a blank. */
const lineOf = (node: string, { kind }: Waiting): string => (kind === "commit" ? `${node} c` : node);

/**
 * What waits, by origin. Every origin gets an equal share of a batch before any gets more, so that one with a day's
 * backlog costs one that is live no more than a batch. A node's commits are a line of their own: somebody waits for each.
 */
export class FairQueue {
  readonly #lines = new Map<string, Line>();
  #order: string[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#lines.size === 0;
  }

  push(node: string, waiting: Waiting): void {
    const name = lineOf(node, waiting);
    let line = this.#lines.get(name);
    if (!line) {
      line = { node, waiting: [], done: 0 };
      this.#lines.set(name, line);
      this.#order.push(name);
    }
    line.waiting.push(waiting);
    if (waiting.kind === "block") this.#bytes += weightOfAll(waiting.events);
    if (waiting.kind === "commit") this.#bytes += weightOf(waiting.commit.event);
  }

  /** Takes the next batch's portions out, at least one when anything waits. Within an origin the order is kept. */
  take(bounds: BatchBounds): Portion[] {
    const portions: Portion[] = [];
    let { events, bytes } = bounds;
    const most = bounds.eventsOfOne ?? bounds.events;
    const share = Math.min(most, Math.max(1, Math.floor(bounds.events / Math.max(1, this.#lines.size))));
    const more = most - share;
    for (const limit of [share, more]) {
      for (const name of this.#order) {
        let room = limit;
        while (room > 0 && events > 0 && (bytes > 0 || portions.length === 0)) {
          const portion = this.#takeFrom(name, Math.min(room, events), portions.length === 0, bytes);
          if (!portion) break;
          portions.push(portion);
          const taken = Math.max(1, portion.to - portion.from);
          room -= taken;
          events -= taken;
          if (portion.waiting.kind === "block") {
            bytes -= weightOfAll(portion.waiting.events, portion.from, portion.to);
          }
          if (portion.waiting.kind === "commit") bytes -= weightOf(portion.waiting.commit.event);
        }
      }
    }
    // Whoever came first this time comes last the next.
    this.#order = [...this.#order.slice(1), ...this.#order.slice(0, 1)].filter((name) =>
      this.#lines.has(name),
    );
    return portions;
  }

  /** Empties it and returns what waited. */
  clear(): Waiting[] {
    const all = [...this.#lines.values()].flatMap(({ waiting }) => waiting);
    this.#lines.clear();
    this.#order = [];
    this.#bytes = 0;
    return all;
  }

  #takeFrom(name: string, maxEvents: number, atLeastOne: boolean, maxBytes: number): Portion | undefined {
    const line = this.#lines.get(name);
    const waiting = line?.waiting[0];
    if (!line || !waiting) return undefined;
    const { node } = line;
    if (waiting.kind !== "block") {
      if (waiting.kind === "commit") this.#bytes -= weightOf(waiting.commit.event);
      this.#advance(name, line, waiting);
      return { node, waiting, from: 0, to: 1, whole: true };
    }
    const from = line.done;
    let to = from;
    let bytes = 0;
    while (to < waiting.events.length && to - from < maxEvents) {
      const weight = weightOf(waiting.events[to] as ShippedEvent);
      if (bytes + weight > maxBytes && !(atLeastOne && to === from)) break;
      bytes += weight;
      to++;
    }
    if (to === from) return undefined;
    this.#bytes -= bytes;
    const whole = to === waiting.events.length;
    if (whole) this.#advance(name, line, waiting);
    else line.done = to;
    return { node, waiting, from, to, whole };
  }

  #advance(name: string, line: Line, waiting: Waiting): void {
    if (line.waiting[0] === waiting) line.waiting.shift();
    line.done = 0;
    if (line.waiting.length === 0) this.#lines.delete(name);
  }
}

function weightOfAll(events: readonly ShippedEvent[], from = 0, to = events.length): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += weightOf(events[i] as ShippedEvent);
  return sum;
}
