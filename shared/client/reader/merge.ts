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
}

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
    this.others = lanes.filter((lane) => lane.node !== node);
  }

  get lanes(): readonly Lane[] {
    return this.own ? [...this.others, this.own] : this.others;
  }

  /** An event of the outbox, in its order. */
  fromOutbox(seq: number, print: () => string): "deliver" | "skip" {
    const { own } = this;
    if (own && seq <= own.seq) return "skip";
    const first = own?.incarnation === undefined ? (own?.first ?? { seq, print: print() }) : undefined;
    this.own = { node: this.node, incarnation: own?.incarnation, seq, last: print, first };
    return "deliver";
  }

  /** An event of the log or copy, in its order. */
  fromLog(origin: Origin, print: () => string): Decision {
    return origin.node === this.node ? this.#ownFromLog(origin, print) : this.#otherFromLog(origin, print);
  }

  /** The answer to `ask`; undefined: the outbox has no event of that sequence any more. */
  answered(origin: Origin, print: () => string, same: boolean | undefined): "deliver" | "skip" {
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
    };
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
    if (own && (this.outboxOpen || own.incarnation === undefined)) return "ask";
    this.#adopt(origin, print);
    return "deliver";
  }

  #continued(own: Lane, origin: Origin, print: () => string): "deliver" | "skip" {
    if (origin.seq <= own.seq) return "skip";
    this.#adopt(origin, print);
    return "deliver";
  }

  #adopt({ incarnation, seq }: Origin, print: () => string): void {
    this.own = { node: this.node, incarnation, seq, last: print, first: undefined };
  }

  #otherFromLog({ node, incarnation, seq }: Origin, print: () => string): "deliver" | "skip" {
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
    if (seq >= lane.seq) this.#setOther(undefined, node);
    return seq <= lane.seq ? "skip" : "deliver";
  }

  #setOther(lane: Lane | undefined, node = lane?.node): void {
    const rest = this.others.filter((one) => one.node !== node);
    this.others = lane ? [...rest, lane] : rest;
  }
}
