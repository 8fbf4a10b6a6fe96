import type { LaneReply } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET, sameMark } from "../../shared/protocol/origin.ts";
import { evenly } from "./evenly.ts";

/** First and last sequence of an outbox; `first` is `last + 1` when it holds nothing. */
export interface OutboxRange {
  readonly first: number;
  readonly last: number;
}

/** What is to be found out next, or what was. */
export type LaneStep =
  /** The own event at a sequence: tell `found`. */
  | { readonly step: "find"; readonly seq: number; readonly in: "outbox" | "copy" }
  /** Own events after one sequence and up to another, evenly spread, the last one included: tell `sampled`. */
  | { readonly step: "sample"; readonly after: number; readonly upTo: number }
  /** Which of these the log has: tell `compared`. */
  | { readonly step: "compare"; readonly marks: readonly LaneMark[] }
  /** The lane's mark is the outbox's: ship what comes after it. */
  | { readonly step: "continue" }
  /** The outbox left what the log has of it after that event: it goes on as a new incarnation. */
  | { readonly step: "part"; readonly common: LaneMark }
  /** Events in between are neither in the log nor here, and an operator has not accepted that. */
  | { readonly step: "hole"; readonly after: number; readonly before: number };

export interface LaneSearchInit {
  readonly lane: LaneReply;
  readonly outbox: OutboxRange;
  /** An operator accepts that the events between the two are gone. */
  readonly isAccepted: (after: number, before: number) => boolean;
}

/** So many are compared at once: three rounds for a quarter of a million events. */
export const SAMPLE = 64;

/**
 * Finds where an outbox stands to what the log has of its node. Pure. Outboxes that were one (restored, cloned) agree up
 * to a point and nowhere after it, so the log has all of ours up to a point, of whichever incarnation.
 */
export class LaneSearch {
  readonly #init: LaneSearchInit;
  /** The log has it. */
  #low: LaneMark = NOTHING_YET;
  /** The first one known that the log has not. */
  #next: number | undefined;
  #own: readonly LaneMark[] = [];
  #markDeleted = false;
  /** The copy could tell of events that were trimmed from the outbox. */
  #copyTold = false;

  constructor(init: LaneSearchInit) {
    this.#init = init;
  }

  get lane(): LaneReply {
    return this.#init.lane;
  }

  begin(): LaneStep {
    const { lane, outbox } = this.#init;
    const { seq } = lane.mark;
    if (lane.incarnation === 0) return { step: "part", common: NOTHING_YET };
    if (lane.top === 0) return { step: "continue" };
    // Beyond the outbox's end only another one's event can be; the copy may have it, but that says nothing of this one.
    if (seq === 0 || seq > outbox.last) return this.#sample();
    return { step: "find", seq, in: seq < outbox.first ? "copy" : "outbox" };
  }

  found(own: LaneMark | undefined): LaneStep {
    const { lane, outbox, isAccepted } = this.#init;
    const { mark } = lane;
    // Whether the mark is ours can't be seen, but nothing is missing in between, or an operator accepts that it is.
    const unseen = !own && (outbox.first === mark.seq + 1 || isAccepted(mark.seq, outbox.first));
    if (unseen || (own && sameMark(own, mark))) {
      // Is it the last of ours? Not if an outbox was put back that the log had gone on without.
      if (lane.top <= mark.seq) return { step: "continue" };
      this.#low = mark;
    } else {
      this.#markDeleted = !own;
    }
    return this.#sample();
  }

  sampled(own: readonly LaneMark[]): LaneStep {
    if (own.length === 0) return this.#parted();
    this.#own = evenly(own, SAMPLE);
    this.#copyTold ||= this.#own.some(({ seq }) => seq < this.#init.outbox.first);
    return { step: "compare", marks: this.#own };
  }

  /** `known`: of the marks that were to be compared, those that the log has. */
  compared(known: readonly boolean[]): LaneStep {
    const last = this.#own.findLastIndex((_, i) => known[i] === true);
    this.#low = this.#own[last] ?? this.#low;
    const beyond = this.#own[last + 1];
    if (!beyond) return this.#parted();
    this.#next = beyond.seq;
    return this.#sample();
  }

  #sample(): LaneStep {
    const { lane, outbox } = this.#init;
    const upTo = this.#next === undefined ? Math.min(lane.top, outbox.last) : this.#next - 1;
    return { step: "sample", after: this.#low.seq, upTo };
  }

  /** The last of our events that the log has is known, and the first that it has not, if any up to the lane's top. */
  #parted(): LaneStep {
    const { lane, outbox } = this.#init;
    const { mark } = lane;
    const common = this.#low;
    if (sameMark(common, mark)) return { step: "continue" };
    // Neither the outbox nor a copy has anything that old: whether it is the same lane can't be said.
    if (this.#isHole(mark.seq)) return { step: "hole", after: mark.seq, before: outbox.first };
    // All that the outbox has below the mark is in the log; only the event at the mark itself was deleted from it.
    const nothingMissing = this.#next === undefined || this.#next > mark.seq;
    if (this.#markDeleted && common.seq < mark.seq && nothingMissing) return { step: "continue" };
    // What is in the log of those that were trimmed can't be said: shipping them from a copy that has them a moment later
    // would double them.
    if (this.#isHole(common.seq)) return { step: "hole", after: common.seq, before: outbox.first };
    return { step: "part", common };
  }

  #isHole(after: number): boolean {
    const { outbox, isAccepted } = this.#init;
    return after + 1 < outbox.first && !this.#copyTold && !isAccepted(after, outbox.first);
  }
}
