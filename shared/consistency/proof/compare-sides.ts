import { blockOf, type PlaceRange } from "./block-sums.ts";
import {
  differences,
  differing,
  type EventDifference,
  isOneBlock,
  joined,
  type ListedEvent,
  splitRange,
} from "./compare.ts";
import type { Sum } from "./sum.ts";

/** One of two that are compared: the log, or what a node holds. Answers about ranges; `isFresh`: not from before. */
export interface Side {
  readonly sums: (ranges: readonly PlaceRange[], isFresh: boolean) => Promise<readonly Sum[]>;
  readonly list: (range: PlaceRange) => Promise<readonly ListedEvent[]>;
}

/** What two differ in. */
export interface Difference {
  /** Blocks, cut to what was compared; neighbours as one. */
  readonly ranges: readonly PlaceRange[];
  /** The events, named; absent: not asked for. */
  readonly events?: readonly EventDifference[];
  /** There are more than these. */
  readonly more: boolean;
}

export interface Comparison {
  readonly reference: Side;
  readonly found: Side;
  readonly range: PlaceRange;
  /** Blocks asked about at once; undefined: the whole range, and only what differs is cut. */
  readonly chunkBlocks?: number;
  /** Names the events. */
  readonly deep: boolean;
  /** Waits as the pace wants it, and tells how far it is; false: ends. Called before each chunk. */
  readonly next?: (range: PlaceRange) => Promise<boolean>;
  /** Waits before a difference is looked at again. */
  readonly settle: () => Promise<void>;
}

/** As many answers are asked for at once. */
const MOST_PARTS = 64;
const MOST_BLOCKS = 64;
const MOST_LISTED_BLOCKS = 16;
const MOST_EVENTS = 200;

/**
 * Finds where two differ: by sums of ever smaller ranges down to blocks, and in those by their lists. What differs is
 * looked at a second time, as both go on while they are compared. undefined: nothing.
 */
export async function compareSides(comparison: Comparison): Promise<Difference | undefined> {
  const { range, chunkBlocks, next, settle, reference, found, deep } = comparison;
  const blocks: PlaceRange[] = [];
  for (const chunk of chunksOf(range, chunkBlocks)) {
    if (next && !(await next(chunk))) break;
    const parts = chunkBlocks === undefined ? [chunk] : splitRange(chunk, chunkBlocks);
    blocks.push(...(await narrowed(comparison, parts)));
    if (blocks.length >= MOST_BLOCKS) break;
  }
  if (blocks.length === 0) return undefined;
  await settle();
  const still: PlaceRange[] = [];
  for (let at = 0; at < blocks.length; at += MOST_PARTS)
    still.push(...(await different(comparison, blocks.slice(at, at + MOST_PARTS), true)));
  if (still.length === 0) return undefined;
  const more = blocks.length >= MOST_BLOCKS;
  if (!deep) return { ranges: joined(still), more };
  const events: EventDifference[] = [];
  for (const block of still.slice(0, MOST_LISTED_BLOCKS)) {
    const [wanted, present] = await Promise.all([reference.list(block), found.list(block)]);
    events.push(...differences(wanted, present));
    if (events.length > MOST_EVENTS) break;
  }
  return {
    ranges: joined(still),
    events: events.slice(0, MOST_EVENTS),
    more: more || still.length > MOST_LISTED_BLOCKS || events.length > MOST_EVENTS,
  };
}

function chunksOf(range: PlaceRange, chunkBlocks: number | undefined): PlaceRange[] {
  if (range.to < range.from) return [];
  if (chunkBlocks === undefined) return [range];
  return splitRange(range, Math.ceil((blockOf(range.to) - blockOf(range.from) + 1) / chunkBlocks));
}

/** The blocks in which parts differ. */
async function narrowed(comparison: Comparison, parts: readonly PlaceRange[]): Promise<PlaceRange[]> {
  const found: PlaceRange[] = [];
  let rest = await different(comparison, parts, false);
  while (rest.length > 0 && found.length < MOST_BLOCKS) {
    found.push(...rest.filter(isOneBlock));
    const wide = rest.filter((one) => !isOneBlock(one));
    if (wide.length === 0) break;
    const smaller = wide.flatMap((one) => splitRange(one, Math.max(2, Math.floor(MOST_PARTS / wide.length))));
    rest = await different(comparison, smaller.slice(0, MOST_PARTS), false);
  }
  return found;
}

async function different(
  { reference, found }: Comparison,
  parts: readonly PlaceRange[],
  isFresh: boolean,
): Promise<PlaceRange[]> {
  const [mine, theirs] = await Promise.all([reference.sums(parts, isFresh), found.sums(parts, isFresh)]);
  return differing(parts, mine, theirs);
}
