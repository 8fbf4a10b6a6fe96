import type { FoldEvent } from "../fold-event.ts";
import type { Conflict, Note, Siblings } from "../resolver.ts";
import type { Version, VersionTable } from "../version.ts";

/** One event at one place of the value. */
export interface Change {
  readonly event: FoldEvent;
  readonly by: Version;
  readonly note: Note | undefined;
  readonly path: string[];
}

/** What is held at a place of a typed value. Changed in place, in the log's order. */
export interface Cell {
  /**
   * @param operation what the event's data has here; of the cell's type, not null
   * @param floor newest delete of something that this is in: what is older by stamp is gone
   */
  apply(operation: unknown, change: Change, floor: Version | undefined): void;
  /** Takes away what the event's writer had seen; of a last-writer register, what is older. */
  remove(change: Change): void;
  /** Nothing is here, and nothing has to be remembered of it. */
  isGone(): boolean;
  /** undefined: nothing. */
  value(): unknown;
  addSiblings(path: readonly string[], siblings: Siblings[]): void;
  /**
   * @param beforeMs nothing comes any more that is older
   * @param lanes to which those of all that is left are added
   * @param floor as for `apply`: what it keeps out need not be kept out again
   */
  compact(beforeMs: number, lanes: Set<string>, floor: Version | undefined): void;
  encode(table: VersionTable): unknown;
}

/** Tells of a conflict here, when somebody listens. */
export function tell(
  { note, path, event }: Change,
  conflict: Omit<Conflict, "path" | "certain"> & { readonly certain?: boolean },
): void {
  note?.({ certain: !event.clockless, ...conflict, path: [...path] });
}
