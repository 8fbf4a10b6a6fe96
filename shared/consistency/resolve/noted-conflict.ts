import type { LogPosition } from "../../protocol/reign.ts";
import type { FoldEvent } from "./fold-event.ts";
import type { Conflict } from "./resolver.ts";

/** A conflict that an event of the log met. The same event meets the same ones on every node that folds from the beginning. */
export interface NotedConflict {
  readonly conflict: Conflict;
  readonly event: Pick<FoldEvent, "domain" | "aggregate" | "ingestMs">;
  /** The event's. */
  readonly position: LogPosition;
  readonly resolver: string;
}
