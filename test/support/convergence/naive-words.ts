import type { FoldEvent } from "../../../shared/consistency/resolve/fold-event.ts";

// What the naive models are told of events, read anew from their definitions.

export interface NaiveView {
  readonly value: unknown;
  readonly deleted: boolean;
  /** By path, the values newest first. */
  readonly siblings: readonly { readonly path: readonly string[]; readonly values: readonly unknown[] }[];
}

export const MS_OF_90_DAYS = 90 * 24 * 3600 * 1000;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function byStamp<T extends Pick<FoldEvent, "stamp">>(events: readonly T[]): T[] {
  return [...events].sort(({ stamp: a }, { stamp: b }) => {
    const keysA = [a.ms, a.order, a.lane, a.seq] as const;
    const keysB = [b.ms, b.order, b.lane, b.seq] as const;
    for (const [n, key] of keysA.entries())
      if (key !== keysB[n]) return key < (keysB[n] as typeof key) ? -1 : 1;
    return 0;
  });
}

/** Whether the later one's writer had seen the earlier one, or must have: a strong commit comes after all before it, a node was retired between them. */
export function naiveSaw(later: FoldEvent, earlier: FoldEvent): boolean {
  if (later.committed) return true;
  const upTo = later.seen.get(earlier.dot.lane);
  if (upTo !== undefined && upTo >= earlier.dot.seq) return true;
  return later.retired.has(earlier.dot.lane.split("/")[0] as string);
}
