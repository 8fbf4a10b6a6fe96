import type { Stamp } from "../clock/stamp.ts";
import type { Dot, VersionVector } from "../clock/version-vector.ts";
import type { FoldEvent } from "./fold-event.ts";

/** One write of a value: which event wrote it, and when. */
export interface VersionRef {
  readonly id: string;
  readonly dot: Dot;
  readonly stamp: Stamp;
  /** What it wrote there; absent where it wrote nothing, but took away. */
  readonly value?: unknown;
}

/** Two writes of one place, neither of which had seen the other, and what became of them. */
export interface Conflict {
  /** Keys down to the value; []: the whole aggregate. */
  readonly path: readonly string[];
  /** lost: one is gone. siblings: both are kept. merged: both are in the value. removed: one was taken away by a delete. */
  readonly kind: "lost" | "siblings" | "merged" | "removed";
  /** Why it went so, for people: "later clock", "tie: origin", "concurrent", "policy", "delete". */
  readonly rule: string;
  readonly winner?: VersionRef;
  readonly loser?: VersionRef;
  /** false: the later writer did not say what it had seen, and may have seen the other. */
  readonly certain: boolean;
}

/** Called for each conflict that an event meets. */
export type Note = (conflict: Conflict) => void;

/** A value, several of which nobody has merged yet. */
export interface Siblings {
  readonly path: readonly string[];
  /** Newest first; the first is the one that the value shows. */
  readonly versions: readonly (VersionRef & { readonly value: unknown })[];
}

/** What a program reads. */
export interface StateView {
  /** null when deleted, or when there is nothing yet. */
  readonly value: unknown;
  readonly deleted: boolean;
  readonly siblings: readonly Siblings[];
}

/** How far a fold of the log has come. */
export interface LogPast {
  /** Every event of the aggregate up to this log index is in, and none of them is given again. */
  readonly index: number;
  /** What comes later is taken by the sequencer no earlier than this, ms. */
  readonly ingestMs: number;
}

/**
 * What becomes of an aggregate's events. Events may be given in any order, and more than once: states that were given the
 * same events have the same view. States are values of the resolver that made them; `apply` and `compact` may change the
 * one that they are given and give it back, so who needs it later as well keeps `decode(encode(state))`.
 */
export interface Resolver<S> {
  readonly name: string;
  empty(): S;
  /**
   * @param note told of conflicts; complete, and each told once, when events are given in the log's order
   * @throws TypeError when the event's data is of no use to this resolver; the state is then as it was
   */
  apply(state: S, event: FoldEvent, note?: Note): S;
  view(state: S): StateView;
  /** What who writes next, having read this state, has seen. */
  seen(state: S): VersionVector;
  /** Forgets what no event to come can ask for. Changes neither the view nor what later events make of it. */
  compact(state: S, past: LogPast): S;
  /** As JSON: the same compacted state is the same JSON. */
  encode(state: S): unknown;
  /** @throws TypeError when it was encoded by another one */
  decode(json: unknown): S;
}
