import type { LaneMark } from "../../shared/protocol/origin.ts";

// A copy may hold events of several of a node's outboxes: before one was restored it went another way. Own events are
// taken from it only along the way that led to the present outbox.

/** A part of that way: an incarnation's events after one sequence and up to another. */
export interface PathSegment {
  readonly incarnation: number;
  readonly after: number;
  readonly upTo: number;
}

/** By incarnation: the last event that it shares with an earlier one, from the copy's lane records. */
export type LaneStarts = ReadonlyMap<number, LaneMark>;

/** The prints whose incarnation `ownPath` must be told: the outbox's first event and every point of departure. */
export function wantedPrints(starts: LaneStarts, anchor: LaneMark): Set<string> {
  return new Set([anchor.print, ...[...starts.values()].map(({ print }) => print)]);
}

/**
 * The way to the outbox's first event, oldest part first; empty when the copy does not have that event. `owners`: the
 * incarnation under which the copy has the event of a print.
 */
export function ownPath(
  starts: LaneStarts,
  owners: ReadonlyMap<string, number>,
  anchor: LaneMark,
): PathSegment[] {
  const path: PathSegment[] = [];
  let end = anchor;
  for (let left = starts.size + 1; left > 0 && end.seq > 0; left--) {
    const incarnation = owners.get(end.print);
    if (incarnation === undefined) break;
    const start = starts.get(incarnation) ?? { seq: 0, print: "" };
    if (start.seq < end.seq) path.unshift({ incarnation, after: start.seq, upTo: end.seq });
    end = start;
  }
  return path;
}

/** Whether an own event of the copy lies on the way. */
export function isOnPath(path: readonly PathSegment[], incarnation: number, seq: number): boolean {
  return path.some((part) => part.incarnation === incarnation && seq > part.after && seq <= part.upTo);
}
