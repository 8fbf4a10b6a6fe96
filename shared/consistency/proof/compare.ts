import { BLOCK_PLACES, type PlaceRange } from "./block-sums.ts";
import { type Sum, sameSum } from "./sum.ts";

/** A range cut into at most so many parts along blocks, so that whoever answers needs only sums of whole blocks. */
export function splitRange({ from, to }: PlaceRange, most: number): PlaceRange[] {
  if (to < from) return [];
  const firstBlock = Math.floor((from - 1) / BLOCK_PLACES);
  const lastBlock = Math.floor((to - 1) / BLOCK_PLACES);
  const blocksEach = Math.max(1, Math.ceil((lastBlock - firstBlock + 1) / most));
  const parts: PlaceRange[] = [];
  for (let block = firstBlock; block <= lastBlock; block += blocksEach) {
    const begin = Math.max(from, block * BLOCK_PLACES + 1);
    const end = Math.min(to, (block + blocksEach) * BLOCK_PLACES);
    parts.push({ from: begin, to: end });
  }
  return parts;
}

/** Whether a range lies within one block: it cannot be cut further, its events are listed. */
export function isOneBlock({ from, to }: PlaceRange): boolean {
  return Math.floor((from - 1) / BLOCK_PLACES) === Math.floor((to - 1) / BLOCK_PLACES);
}

/** The parts in which two differ. */
export function differing(
  parts: readonly PlaceRange[],
  mine: readonly Sum[],
  theirs: readonly Sum[],
): PlaceRange[] {
  return parts.filter((_, i) => {
    const [a, b] = [mine[i], theirs[i]];
    return !a || !b || !sameSum(a, b);
  });
}

/** Neighbours as one. */
export function joined(ranges: readonly PlaceRange[]): PlaceRange[] {
  const result: { from: number; to: number }[] = [];
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last && from <= last.to + 1) last.to = Math.max(last.to, to);
    else result.push({ from, to });
  }
  return result;
}

/** An event as one of two has it. */
export interface ListedEvent {
  readonly place: number;
  readonly id: string;
  readonly domain: string;
  /** The content's hash as text; "": not looked at. */
  readonly content: string;
}

/** What of two lists differs, seen from the one that is checked against the reference. */
export interface EventDifference {
  readonly kind: "missing" | "extra" | "twice" | "changed";
  readonly place: number;
  readonly id: string;
  readonly domain: string;
}

/** Names the events in which what was found differs from the reference. */
export function differences(
  reference: readonly ListedEvent[],
  found: readonly ListedEvent[],
): EventDifference[] {
  const wanted = byKey(reference);
  const present = byKey(found);
  const result: EventDifference[] = [];
  const add = (kind: EventDifference["kind"], { place, id, domain }: ListedEvent) =>
    result.push({ kind, place, id, domain });
  for (const [key, events] of wanted) {
    const there = present.get(key) ?? [];
    const [first] = events as [ListedEvent];
    if (there.length < events.length) add("missing", first);
    if (there.length > events.length) add("twice", first);
    const contents = new Set(events.map(({ content }) => content));
    if (there.some(({ content }) => !contents.has(content))) add("changed", first);
  }
  for (const [key, events] of present) if (!wanted.has(key)) add("extra", events[0] as ListedEvent);
  return result.sort((a, b) => a.place - b.place);
}

function byKey(events: readonly ListedEvent[]): Map<string, ListedEvent[]> {
  const result = new Map<string, ListedEvent[]>();
  for (const event of events) {
    const key = `${event.place} ${event.id}`;
    const same = result.get(key);
    if (same) same.push(event);
    else result.set(key, [event]);
  }
  return result;
}
