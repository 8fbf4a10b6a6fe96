import type { LogPosition, Reign } from "../protocol/reign.ts";
import { sameReign } from "../protocol/reign.ts";

/** Where a reign begins in a stream that holds the log or a copy of it. */
export interface ReignStart {
  readonly reign: Reign;
  /** Log index of the reign's first message here. */
  readonly index: number;
  /** That message's sequence in this stream. */
  readonly seq: number;
}

/** The reigns of a stream in the order of the log, and its last position. */
export interface ReignHistory {
  readonly reigns: readonly ReignStart[];
  readonly last: LogPosition | undefined;
}

/**
 * Log matching, as in Raft (Ongaro and Ousterhout 2014, section 5.3): one reign writes one sequence of messages, so two
 * logs that have the same reign at the same index have the same messages up to there. Compares reigns from the newest
 * backwards and gives the last common position; undefined: there is none.
 */
export function lastCommonPosition(mine: ReignHistory, theirs: ReignHistory): LogPosition | undefined {
  for (let i = mine.reigns.length - 1; i >= 0; i--) {
    const start = mine.reigns[i] as ReignStart;
    const other = theirs.reigns.findLastIndex(({ reign }) => sameReign(reign, start.reign));
    if (other < 0) continue;
    const index = Math.min(lastIndexOf(mine, i), lastIndexOf(theirs, other));
    // A reign that both have but at indexes that never meet is no common ground.
    if (index < start.index && index < (theirs.reigns[other] as ReignStart).index) continue;
    return { reign: start.reign, index };
  }
  return undefined;
}

/** The log's sequence of a position that it has: within a reign they grow together. */
export function sequenceOf(history: ReignHistory, position: LogPosition): number | undefined {
  const start = history.reigns.findLast(({ reign }) => sameReign(reign, position.reign));
  if (!start || position.index < start.index) return undefined;
  return start.seq + (position.index - start.index);
}

function lastIndexOf(history: ReignHistory, at: number): number {
  const next = history.reigns[at + 1];
  return next ? next.index - 1 : (history.last?.index ?? 0);
}

/** The log's sequence of an index, or of its first message when it begins later; undefined: the log is empty. */
export function sequenceAtIndex(history: ReignHistory, index: number): number | undefined {
  const start = history.reigns.findLast((reign) => reign.index <= index) ?? history.reigns[0];
  return start && start.seq + Math.max(0, index - start.index);
}
