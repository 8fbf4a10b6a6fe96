import { NOTHING, type Sum } from "./sum.ts";

/** Places (log indexes, or sequences of an outbox) of one block: what is compared at once, and read to find out more. */
export const BLOCK_PLACES = 4096;

export const blockOf = (place: number): number => Math.floor((place - 1) / BLOCK_PLACES);
export const firstOfBlock = (block: number): number => block * BLOCK_PLACES + 1;
export const lastOfBlock = (block: number): number => (block + 1) * BLOCK_PLACES;

/** Places, both ends included. */
export interface PlaceRange {
  readonly from: number;
  readonly to: number;
}

/** Sequences of the stream that a block's messages stand between; what else stands there is other blocks'. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

interface Cell {
  count: number;
  high: number;
  low: number;
  first: number;
  last: number;
}

/** One cell, for a file: block, group, count, high, low, first and last sequence. */
export type StoredCell = readonly [number, string, number, number, number, number, number];

/** Sums by block and group: of a log or copy by domain, of a log's lanes by origin. */
export class BlockSums {
  readonly #blocks = new Map<number, Map<string, Cell>>();
  #changed = new Set<number>();
  /** The one that was added to last: events come in runs. */
  #lastBlock = -1;
  #lastGroup = "";
  #lastCell: Cell | undefined;

  add(
    group: string,
    place: number,
    hash: { readonly high: number; readonly low: number },
    seq: number,
  ): void {
    const block = blockOf(place);
    let cell = this.#lastCell;
    if (!cell || block !== this.#lastBlock || group !== this.#lastGroup) cell = this.#cell(block, group, seq);
    cell.count += 1;
    cell.high = (cell.high + hash.high) | 0;
    cell.low = (cell.low + hash.low) | 0;
    if (seq > cell.last) cell.last = seq;
    else if (seq < cell.first) cell.first = seq;
  }

  /** The sum of whole blocks, both ends included. `isWanted`: which groups count. */
  sum(from: number, to: number, isWanted: (group: string) => boolean): Sum {
    let { count, high, low } = NOTHING;
    for (const [block, groups] of this.#blocks) {
      if (block < from || block > to) continue;
      for (const [group, cell] of groups) {
        if (!isWanted(group)) continue;
        count += cell.count;
        high = (high + cell.high) | 0;
        low = (low + cell.low) | 0;
      }
    }
    return { count, high, low };
  }

  /** The sequences between which a block's messages stand; undefined: it has none. */
  spanOf(block: number, isWanted: (group: string) => boolean = () => true): Span | undefined {
    let span: Span | undefined;
    for (const [group, { first, last }] of this.#blocks.get(block) ?? []) {
      if (!isWanted(group)) continue;
      span = span ? { first: Math.min(span.first, first), last: Math.max(span.last, last) } : { first, last };
    }
    return span;
  }

  /** Blocks that hold something, in order. */
  blocks(): number[] {
    return [...this.#blocks.keys()].sort((a, b) => a - b);
  }

  get isEmpty(): boolean {
    return this.#blocks.size === 0;
  }

  /** What a block comes to, all groups together. */
  total(block: number): Sum {
    return this.sum(block, block, () => true);
  }

  forget(block: number): void {
    if (this.#blocks.delete(block)) this.#changed.add(block);
    this.#lastCell = undefined;
  }

  /** What stood before a sequence of the stream alone: it was purged. */
  forgetBefore(seq: number): void {
    for (const [block, groups] of this.#blocks) {
      for (const [group, { last }] of groups) {
        if (last >= seq) continue;
        groups.delete(group);
        this.#changed.add(block);
      }
      if (groups.size === 0) this.#blocks.delete(block);
    }
    this.#lastCell = undefined;
  }

  forgetAll(): void {
    for (const block of [...this.#blocks.keys()]) this.forget(block);
  }

  /** The blocks that changed since the last call, each with all its cells; one without any is gone. */
  takeChanges(): { readonly block: number; readonly cells: StoredCell[] }[] {
    const changed = [...this.#changed];
    this.#changed = new Set();
    this.#lastCell = undefined;
    return changed.map((block) => ({ block, cells: this.cells(block) }));
  }

  cells(block: number): StoredCell[] {
    return [...(this.#blocks.get(block) ?? [])].map(([group, { count, high, low, first, last }]) => [
      block,
      group,
      count,
      high,
      low,
      first,
      last,
    ]);
  }

  /** Puts cells that were stored in the place of a block's. */
  restore(block: number, cells: readonly StoredCell[]): void {
    this.#blocks.delete(block);
    this.#lastCell = undefined;
    if (cells.length === 0) return;
    const groups = new Map(
      cells.map(([, group, count, high, low, first, last]) => [group, { count, high, low, first, last }]),
    );
    this.#blocks.set(block, groups);
  }

  #cell(block: number, group: string, seq: number): Cell {
    let groups = this.#blocks.get(block);
    if (!groups) {
      groups = new Map();
      this.#blocks.set(block, groups);
    }
    let cell = groups.get(group);
    if (!cell) {
      cell = { count: 0, high: 0, low: 0, first: seq, last: seq };
      groups.set(group, cell);
    }
    this.#changed.add(block);
    this.#lastBlock = block;
    this.#lastGroup = group;
    this.#lastCell = cell;
    return cell;
  }
}
