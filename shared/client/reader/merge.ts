import type { LaneMark, Origin } from "../../protocol/origin.ts";

/**
 * How far a reader has read a node's own events: from that node's outbox ahead of the log, or from the log. Never
 * changed, only replaced, so that what was handed out with an event stays as it was.
 */
export interface Lane {
  readonly node: string;
  /** undefined: none of what was read ahead has come back in the log. */
  readonly incarnation: number | undefined;
  readonly seq: number;
  /** The event at `seq`; undefined when it was passed over unread. */
  readonly last: (() => string) | undefined;
  /** The first event that was read ahead while the incarnation was unknown: by it the lane is known in the log. */
  readonly first: LaneMark | undefined;
  /** From there on all was read from the outbox, or passed over; undefined: nothing was, it is all from the log. */
  readonly from: number | undefined;
}

/** Nothing of this node was written where reading began: nothing need be looked for. */
export const nothingOf = (node: string): Lane => ({
  node,
  incarnation: undefined,
  seq: 0,
  last: undefined,
  first: undefined,
  from: undefined,
});

export type Decision =
  /** `ask`: does the outbox have this very event? Tell by `answered`. */
  "deliver" | "skip" | "ask";

/**
 * Decides which of two ways an own event takes to the reader: from the outbox, or from the log, in which all come back.
 * Pure. Rests on what every log guarantees: one incarnation's events are in it once and in the outbox's order.
 */
export class Merge {
  readonly node: string;
  /** What is read of this node. */
  own: Lane | undefined;
  /** The newest own event that the log was seen to have. */
  logMark: { readonly incarnation: number; readonly seq: number; readonly print: () => string } | undefined;
  /** What was read ahead on nodes where the reader was before. */
  others: readonly Lane[];
  /** The outbox is known to be the one that `own` counts in. */
  outboxOpen = false;

  constructor(node: string, lanes: readonly Lane[] = []) {
    this.node = node;
    this.own = lanes.find((lane) => lane.node === node);
    this.others = lanes.filter((lane) => lane.node !== node && lane.from !== undefined);
  }

  get lanes(): readonly Lane[] {
    return this.own ? [...this.others, this.own] : this.others;
  }

  /** An event of the outbox, in its order. */
  fromOutbox(seq: number, print: () => string): "deliver" | "skip" {
    const { own } = this;
    if (own && seq <= own.seq) return "skip";
    const first = own?.incarnation === undefined ? (own?.first ?? { seq, print: print() }) : undefined;
    const from = own?.from ?? seq;
    this.own = { node: this.node, incarnation: own?.incarnation, seq, last: print, first, from };
    return "deliver";
  }

  /**
   * The log is ahead of the open outbox. What is between may be of domains that a copy does not have, so the log waits;
   * the outbox has it, or is not the one that is read.
   */
  isAhead({ node, seq }: Origin): boolean {
    return node === this.node && this.outboxOpen && seq > (this.own?.seq ?? 0);
  }

  /**
   * An event of the log or copy. `late`: it stands behind younger ones, so that nothing follows from it for others.
   * `all`: what was read ahead has come back when the log is past it, as every domain does here.
   */
  fromLog(origin: Origin, print: () => string, { late = false, all = true } = {}): Decision {
    if (origin.node !== this.node) return this.#otherFromLog(origin, print, !late && all);
    return late ? this.#ownLate(origin) : this.#ownFromLog(origin, print);
  }

  /** The answer to `ask`; undefined: the outbox has no event of that sequence any more. */
  answered(origin: Origin, print: () => string, same: boolean | undefined, late = false): "deliver" | "skip" {
    if (late) return same === true ? "skip" : "deliver";
    if (same === true && this.own) {
      this.own = { ...this.own, incarnation: origin.incarnation, first: undefined };
      return this.#continued(this.own, origin, print);
    }
    // What can't be told is told again rather than not at all.
    if (!this.outboxOpen) this.#adopt(origin, print);
    return "deliver";
  }

  /** The outbox is another one than before: what was read ahead of the log says nothing about it. */
  forgetReadAhead(): void {
    const { logMark } = this;
    this.outboxOpen = false;
    this.own = logMark && {
      node: this.node,
      incarnation: logMark.incarnation,
      seq: logMark.seq,
      last: logMark.print,
      first: undefined,
      from: undefined,
    };
  }

  #ownLate({ incarnation, seq }: Origin): Decision {
    const { own } = this;
    if (!own || !isReadAhead(own, seq)) return "deliver";
    return own.incarnation === incarnation ? "skip" : "ask";
  }

  #ownFromLog(origin: Origin, print: () => string): Decision {
    const { incarnation, seq } = origin;
    this.logMark = { incarnation, seq, print };
    const { own } = this;
    if (own?.incarnation === incarnation) return this.#continued(own, origin, print);
    if (own && own.incarnation === undefined && own.first?.seq === seq && own.first.print === print()) {
      this.own = { ...own, incarnation, first: undefined };
      return "skip";
    }
    if (own && own.seq > 0 && (this.outboxOpen || own.incarnation === undefined)) return "ask";
    this.#adopt(origin, print);
    return "deliver";
  }

  #continued(own: Lane, origin: Origin, print: () => string): "deliver" | "skip" {
    if (origin.seq > own.seq) this.#adopt(origin, print);
    return isReadAhead(own, origin.seq) ? "skip" : "deliver";
  }

  #adopt({ incarnation, seq }: Origin, print: () => string): void {
    const from = this.own?.incarnation === incarnation ? this.own.from : undefined;
    this.own = { node: this.node, incarnation, seq, last: print, first: undefined, from };
  }

  #otherFromLog(
    { node, incarnation, seq }: Origin,
    print: () => string,
    isPast: boolean,
  ): "deliver" | "skip" {
    if (this.others.length === 0) return "deliver";
    let lane = this.others.find((one) => one.node === node);
    if (!lane) return "deliver";
    if (lane.incarnation === undefined) {
      const marked = lane.first?.seq === seq && lane.first.print === print();
      if (!marked && !(lane.seq === seq && lane.last?.() === print())) return "deliver";
      lane = { ...lane, incarnation, first: undefined };
      this.#setOther(lane);
    }
    if (incarnation !== lane.incarnation) return "deliver";
    // The log has come past what was read ahead: nothing more of it can come.
    if (seq >= lane.seq && isPast) this.#setOther(undefined, node);
    return isReadAhead(lane, seq) ? "skip" : "deliver";
  }

  #setOther(lane: Lane | undefined, node = lane?.node): void {
    const rest = this.others.filter((one) => one.node !== node);
    this.others = lane ? [...rest, lane] : rest;
  }
}

function isReadAhead({ from, seq: last }: Lane, seq: number): boolean {
  return from !== undefined && seq >= from && seq <= last;
}
