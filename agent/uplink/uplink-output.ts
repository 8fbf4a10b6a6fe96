import type { Block } from "../../shared/protocol/block.ts";
import type { IngestRequest, Refusal } from "../../shared/protocol/messages.ts";

/** What an uplink's machine wants done. */
export type UplinkOutput =
  /** Send to the sequencer; `answered` with what came, or with undefined when nothing did. */
  | { readonly do: "ask"; readonly token: number; readonly request: IngestRequest }
  | { readonly do: "ship"; readonly token: number; readonly block: Block }
  /** Look at the outbox's range; answered by `surveyed`. */
  | { readonly do: "survey"; readonly token: number }
  /**
   * The own event at a sequence; answered by `found`. Where the outbox was trimmed, from the copy, and only of the history
   * that this outbox continues (own-path.ts).
   */
  | { readonly do: "find"; readonly token: number; readonly seq: number; readonly in: "outbox" | "copy" }
  /**
   * Own events after one sequence and up to another, evenly spread, the last one included; `sampled`. From the outbox and,
   * where it was trimmed, the copy, as with `find`.
   */
  | {
      readonly do: "sample";
      readonly token: number;
      readonly after: number;
      readonly upTo: number;
      readonly count: number;
    }
  /** Own events between two sequences, from the copy as with `find`, in order: `offer`, then `refillEnded`. */
  | { readonly do: "refill"; readonly token: number; readonly after: number; readonly before: number }
  /** Read the outbox from there and `offer` what comes, while `hungry`. */
  | { readonly do: "read"; readonly from: number }
  | { readonly do: "stop-reading" }
  /** Ask again later, with `begin`. Slow: something must be changed first. */
  | { readonly do: "wait"; readonly slow: boolean }
  /** Keep these refused events apart; then `asideDone`. Nothing more is shipped, and nothing trimmed, before. */
  | { readonly do: "set-aside"; readonly token: number; readonly refusals: readonly Refusal[] }
  /**
   * All up to there is durable on every member hub, and may be trimmed. 0: nothing is known any more, as the outbox may
   * have been replaced; until the next one nothing may be trimmed.
   */
  | { readonly do: "confirmed"; readonly seq: number }
  | { readonly do: "raise"; readonly code: UplinkCondition; readonly detail: string }
  | { readonly do: "clear"; readonly code: UplinkCondition };

export type UplinkCondition =
  | "hub-unreachable"
  | "outbox-rolled-back"
  | "outbox-gap"
  | "log-went-back"
  | "log-hole"
  | "refused-events"
  | "incompatible-hub";
