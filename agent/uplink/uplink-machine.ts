import { type Block, MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import { type ShippedEvent, weightOf } from "../../shared/protocol/event.ts";
import type { IngestReply, IngestRequest, LaneReply, Refusal } from "../../shared/protocol/messages.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET, printOf, sameMark } from "../../shared/protocol/origin.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { evenly } from "./evenly.ts";

/** First and last sequence of an outbox; `first` is `last + 1` when it holds nothing. */
export interface OutboxRange {
  readonly first: number;
  readonly last: number;
}

export type UplinkOutput =
  /** Send to the sequencer; `answered` with what came, or with undefined when nothing did. */
  | { readonly do: "ask"; readonly token: number; readonly request: IngestRequest }
  | { readonly do: "ship"; readonly token: number; readonly block: Block }
  /** Look at the outbox's range; answered by `surveyed`. */
  | { readonly do: "survey"; readonly token: number }
  /** The own event at a sequence, from the outbox or else the copy; answered by `found`. */
  | { readonly do: "find"; readonly token: number; readonly seq: number; readonly incarnation: number }
  /** Sequences that the outbox holds after one and up to another, evenly spread, the last one included; `sampled`. */
  | {
      readonly do: "sample";
      readonly token: number;
      readonly after: number;
      readonly upTo: number;
      readonly count: number;
    }
  /** Own events between two sequences, from the copy, in order: `offer`, then `refilled`. */
  | { readonly do: "refill"; readonly token: number; readonly after: number; readonly before: number }
  /** Read the outbox from there and `offer` what comes, while `hungry`. */
  | { readonly do: "read"; readonly from: number }
  | { readonly do: "stop-reading" }
  /** Ask again later, with `begin`. Slow: something must be changed first. */
  | { readonly do: "wait"; readonly slow: boolean }
  /** Keep these refused events apart before the outbox is trimmed. */
  | { readonly do: "set-aside"; readonly refusals: readonly Refusal[] }
  /** All up to there is durable on every member hub. */
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

export interface UplinkSettings {
  /** Blocks on their way at once: two keep the pipe full, more make smaller blocks and more work. */
  readonly maxInFlight: number;
  /** Largest block, bytes before packing; one larger event travels alone. */
  readonly blockBytes: () => number;
  /** What may wait here, bytes. */
  readonly maxQueueBytes: number;
}

type Phase =
  | { readonly name: "idle" }
  | { readonly name: "surveying" | "greeting" }
  /** Is the lane's mark our own event? */
  | { readonly name: "finding"; readonly lane: LaneReply }
  /** Where did our outbox leave the lane? `low` is known to be common, nothing above `high` is. */
  | {
      readonly name: "searching";
      readonly lane: LaneReply;
      readonly low: LaneMark;
      readonly high: number;
      readonly top: number;
      readonly own: readonly LaneMark[];
    }
  | { readonly name: "incarnating" }
  | {
      readonly name: "refilling";
      readonly foundAny: boolean;
      readonly after: number;
      readonly before: number;
    }
  | { readonly name: "shipping" }
  | { readonly name: "stopped"; readonly after: number; readonly before: number };

const SAMPLE = 64;

interface InFlight {
  readonly token: number;
  readonly events: readonly ShippedEvent[];
}

/**
 * Ships an outbox. Pure: methods take what happened and return what is to be done. Its position is the log's mark of its
 * lane, asked for at every beginning, and taken only when the outbox still has that very event: an outbox that was
 * restored, cloned or recreated goes on as a new incarnation from the point where it differs.
 */
export class UplinkMachine {
  readonly #settings: UplinkSettings;
  #phase: Phase = { name: "idle" };
  #nextToken = 1;
  #expectedToken = 0;
  #seen: Reign | undefined;
  #outbox: OutboxRange = { first: 1, last: 0 };
  #incarnation = 0;
  /** Last event sent: what the next block continues. */
  #sent: LaneMark = NOTHING_YET;
  #accepted = 0;
  #confirmed = 0;
  /** Highest sequence that any reign ever confirmed to us: a lower mark later means that the log went back. */
  #everAccepted = 0;
  #acceptHole: { after: number; before: number } | undefined;
  #holeAhead = false;
  #queue: ShippedEvent[] = [];
  #queueBytes = 0;
  #lastOffered = 0;
  #inFlight: InFlight[] = [];
  #restarts = 0;

  constructor(settings: UplinkSettings, seen?: Reign) {
    this.#settings = settings;
    this.#seen = seen;
  }

  get phase(): Phase["name"] {
    return this.#phase.name;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** The highest reign that ever answered. */
  get seen(): Reign | undefined {
    return this.#seen;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** More events may be offered. */
  get hungry(): boolean {
    return this.#queueBytes < this.#settings.maxQueueBytes;
  }

  /** Starts or starts over: the link came up, or it is time to ask again. */
  begin(): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "surveying" };
    return [...stop, { do: "survey", token: this.#expect() }];
  }

  /** The link went down: nothing that is on its way will be answered. */
  lost(): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "idle" };
    return stop;
  }

  surveyed(token: number, outbox: OutboxRange | undefined): UplinkOutput[] {
    if (!this.#isExpected(token)) return [];
    if (!outbox) return this.#later();
    this.#outbox = { first: Math.max(1, outbox.first), last: outbox.last };
    this.#phase = { name: "greeting" };
    const request: IngestRequest = {
      op: "hello",
      version: PROTOCOL_VERSION,
      seen: this.#seen ?? null,
      outbox: this.#outbox,
    };
    return [{ do: "ask", token: this.#expect(), request }];
  }

  answered(token: number, reply: IngestReply | undefined): UplinkOutput[] {
    const shipped = this.#inFlight.find((block) => block.token === token);
    if (!shipped && !this.#isExpected(token)) return [];
    if (!reply)
      return [
        { do: "raise", code: "hub-unreachable", detail: "the sequencer does not answer" },
        ...this.#later(),
      ];
    if (reply.kind === "rejected") {
      if (reply.retry) return this.#later();
      return [{ do: "raise", code: "incompatible-hub", detail: reply.reason }, ...this.#later(true)];
    }
    if (!this.#believes(reply.reign)) return this.#later();
    if (shipped) return reply.kind === "taken" ? this.#taken(shipped, reply) : this.#restart();
    switch (reply.kind) {
      case "lane":
        return [
          { do: "clear", code: "hub-unreachable" },
          { do: "clear", code: "incompatible-hub" },
          ...this.#greeted(reply),
        ];
      case "prints":
        return this.#compared(reply.prints);
      default:
        return this.#restart();
    }
  }

  found(token: number, own: LaneMark | undefined): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "finding") return [];
    const { lane } = this.#phase;
    if (own && sameMark(own, lane.mark)) return this.#continue(lane);
    if (!own && lane.mark.seq < this.#outbox.first) {
      // The outbox kept nothing that old and no copy has it: whether it is the same lane can't be said.
      return this.#stopAtHole(lane.mark.seq, this.#outbox.first);
    }
    return this.#search(lane, NOTHING_YET, Math.min(lane.mark.seq, this.#outbox.last), []);
  }

  sampled(token: number, own: readonly LaneMark[]): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "searching") return [];
    const phase = this.#phase;
    if (own.length === 0) return this.#parted(phase.lane, phase.low, phase.top);
    const picked = evenly(own, SAMPLE);
    const top = phase.top === 0 ? (picked.at(-1)?.seq ?? 0) : phase.top;
    this.#phase = { ...phase, top, own: picked };
    const request: IngestRequest = {
      op: "prints",
      incarnation: phase.lane.incarnation,
      seqs: picked.map((mark) => mark.seq),
    };
    return [{ do: "ask", token: this.#expect(), request }];
  }

  /** Own events in order. Blocks are made of all that waits whenever one may leave. */
  offer(events: readonly ShippedEvent[]): UplinkOutput[] {
    const refilling = this.#phase.name === "refilling";
    if (this.#phase.name !== "shipping" && !refilling) return [];
    const out: UplinkOutput[] = [];
    for (const event of events) {
      if (event.seq <= this.#lastOffered) continue;
      if (!refilling && event.seq !== this.#lastOffered + 1) {
        const detail = `events ${this.#lastOffered + 1} to ${event.seq - 1} were deleted from the outbox before they were shipped`;
        out.push({ do: "raise", code: "outbox-gap", detail });
      }
      this.#lastOffered = event.seq;
      this.#queue.push(event);
      this.#queueBytes += weightOf(event);
    }
    if (this.#phase.name === "refilling" && events.length > 0)
      this.#phase = { ...this.#phase, foundAny: true };
    return [...out, ...this.#pump()];
  }

  refilled(token: number): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "refilling") return [];
    const { foundAny, after, before } = this.#phase;
    if (!foundAny) return this.#stopAtHole(after, before);
    this.#phase = { name: "shipping" };
    this.#lastOffered = before - 1;
    return [{ do: "read", from: before }, ...this.#pump()];
  }

  /** An operator says that the events in between are gone and shipping shall go on. */
  acceptHole(after: number, before: number): UplinkOutput[] {
    if (this.#phase.name !== "stopped" || this.#phase.after !== after || this.#phase.before !== before)
      return [];
    this.#acceptHole = { after, before };
    return [{ do: "clear", code: "log-hole" }, ...this.begin()];
  }

  #greeted(lane: LaneReply): UplinkOutput[] {
    const out: UplinkOutput[] = [];
    if (lane.refused.length > 0) out.push(...this.#setAside(lane.refused));
    if (lane.incarnation === 0) return [...out, ...this.#incarnate(0, NOTHING_YET)];
    if (lane.mark.seq < this.#everAccepted && lane.incarnation === this.#incarnation) {
      const detail = `the log has events up to ${lane.mark.seq}, it once had ${this.#everAccepted}: they are shipped again`;
      out.push({ do: "raise", code: "log-went-back", detail });
      this.#everAccepted = lane.mark.seq;
    }
    if (lane.mark.seq === 0) return [...out, ...this.#continue(lane)];
    this.#phase = { name: "finding", lane };
    return [...out, { do: "find", token: this.#expect(), seq: lane.mark.seq, incarnation: lane.incarnation }];
  }

  #search(lane: LaneReply, low: LaneMark, high: number, own: readonly LaneMark[], top = 0): UplinkOutput[] {
    this.#phase = { name: "searching", lane, low, high, top, own };
    return [{ do: "sample", token: this.#expect(), after: low.seq, upTo: high, count: SAMPLE }];
  }

  #compared(prints: readonly (string | null)[]): UplinkOutput[] {
    if (this.#phase.name !== "searching") return this.#restart();
    const { lane, low, high, own, top } = this.#phase;
    // Outboxes that were one agree up to a point and nowhere after it.
    let common = -1;
    for (let i = 0; i < own.length; i++) if (own[i]?.print === prints[i]) common = i;
    const newLow = own[common] ?? low;
    const newHigh = own[common + 1] ? (own[common + 1] as LaneMark).seq - 1 : high;
    if (common === own.length - 1) return this.#parted(lane, newLow, top);
    return this.#search(lane, newLow, newHigh, [], top);
  }

  /** The last common event is known. */
  #parted(lane: LaneReply, common: LaneMark, top: number): UplinkOutput[] {
    const { mark } = lane;
    if (common.seq > 0 && common.seq === top && this.#outbox.last >= mark.seq) {
      // All that the outbox has below the mark is the lane's own; only the event at the mark itself was deleted.
      return this.#continue(lane);
    }
    const detail =
      common.seq === 0
        ? `the outbox is a new one; the log has ${mark.seq} events of an earlier one`
        : `the outbox left what the log has of it after event ${common.seq}`;
    return [
      { do: "raise", code: "outbox-rolled-back", detail },
      ...this.#incarnate(lane.incarnation, common),
    ];
  }

  #incarnate(predecessor: number, common: LaneMark): UplinkOutput[] {
    this.#phase = { name: "incarnating" };
    return [{ do: "ask", token: this.#expect(), request: { op: "incarnate", predecessor, common } }];
  }

  /** The lane's mark is ours: ship what comes after it. */
  #continue(lane: LaneReply): UplinkOutput[] {
    if (this.#incarnation !== lane.incarnation) this.#everAccepted = 0;
    this.#incarnation = lane.incarnation;
    this.#sent = lane.mark;
    this.#accepted = lane.mark.seq;
    this.#lastOffered = lane.mark.seq;
    this.#noteAccepted(lane.mark.seq);
    const out: UplinkOutput[] = this.#confirm(lane.confirmed);
    const { first } = this.#outbox;
    const next = lane.mark.seq + 1;
    if (first <= next) {
      this.#phase = { name: "shipping" };
      return [...out, { do: "read", from: next }];
    }
    if (this.#acceptHole && this.#acceptHole.after === lane.mark.seq && this.#acceptHole.before === first) {
      this.#holeAhead = true;
      this.#lastOffered = first - 1;
      this.#phase = { name: "shipping" };
      return [...out, { do: "read", from: first }];
    }
    this.#phase = { name: "refilling", foundAny: false, after: lane.mark.seq, before: first };
    const detail = `the log has events up to ${lane.mark.seq}, the outbox begins at ${first}: those between come from the copy`;
    out.push({ do: "raise", code: "log-went-back", detail });
    return [...out, { do: "refill", token: this.#expect(), after: lane.mark.seq, before: first }];
  }

  #stopAtHole(after: number, before: number): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "stopped", after, before };
    const detail = `the log has this node's events up to ${after}, the outbox begins at ${before}, and no copy has those between`;
    return [...stop, { do: "raise", code: "log-hole", detail }];
  }

  #taken(shipped: InFlight, reply: Extract<IngestReply, { kind: "taken" }>): UplinkOutput[] {
    this.#inFlight = this.#inFlight.filter((block) => block !== shipped);
    this.#restarts = 0;
    this.#holeAhead = false;
    this.#acceptHole = undefined;
    this.#accepted = Math.max(this.#accepted, reply.accepted);
    this.#noteAccepted(reply.accepted);
    const out: UplinkOutput[] = [];
    if (reply.refused.length > 0) out.push(...this.#setAside(reply.refused));
    return [...out, ...this.#confirm(reply.confirmed), ...this.#pump()];
  }

  #setAside(refusals: readonly Refusal[]): UplinkOutput[] {
    const detail = `the log refused ${refusals.length}: ${refusals[0]?.reason}, event ${refusals[0]?.seq}`;
    return [
      { do: "set-aside", refusals },
      { do: "raise", code: "refused-events", detail },
    ];
  }

  #confirm(seq: number): UplinkOutput[] {
    if (seq === this.#confirmed) return [];
    this.#confirmed = seq;
    return [{ do: "confirmed", seq }];
  }

  #noteAccepted(seq: number): void {
    this.#everAccepted = Math.max(this.#everAccepted, seq);
  }

  #pump(): UplinkOutput[] {
    const out: UplinkOutput[] = [];
    while (this.#inFlight.length < this.#settings.maxInFlight && this.#queue.length > 0) {
      const events = this.#takeBlock();
      const token = this.#nextToken++;
      const block: Block = {
        incarnation: this.#incarnation,
        previous: this.#sent,
        acceptedHole: this.#holeAhead,
        events,
      };
      const last = events.at(-1) as ShippedEvent;
      this.#sent = { seq: last.seq, print: printOf(last) };
      this.#holeAhead = false;
      this.#inFlight.push({ token, events });
      out.push({ do: "ship", token, block });
    }
    return out;
  }

  #takeBlock(): ShippedEvent[] {
    const maxBytes = this.#settings.blockBytes();
    let bytes = 0;
    let count = 0;
    for (const event of this.#queue) {
      const weight = weightOf(event);
      if (count > 0 && (bytes + weight > maxBytes || count >= MAX_BLOCK_EVENTS)) break;
      bytes += weight;
      count++;
    }
    this.#queueBytes -= bytes;
    const events = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return events;
  }

  /** Only the highest reign is believed; another one of the same epoch is settled by the greeting. */
  #believes(reign: Reign): boolean {
    const seen = this.#seen;
    if (seen && (reign.epoch < seen.epoch || (reign.epoch === seen.epoch && reign.id !== seen.id)))
      return false;
    this.#seen = reign;
    return true;
  }

  /** The log is not where it was thought to be: ask it, at once the first time. */
  #restart(): UplinkOutput[] {
    this.#restarts += 1;
    return this.#restarts > 2 ? this.#later() : this.begin();
  }

  #later(slow = false): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "idle" };
    return [...stop, { do: "wait", slow }];
  }

  #drop(): UplinkOutput[] {
    const wasReading = this.#phase.name === "shipping" || this.#phase.name === "refilling";
    this.#queue = [];
    this.#queueBytes = 0;
    this.#inFlight = [];
    this.#expectedToken = 0;
    return wasReading ? [{ do: "stop-reading" }] : [];
  }

  #expect(): number {
    this.#expectedToken = this.#nextToken++;
    return this.#expectedToken;
  }

  /** An answer counts once: the network may deliver it twice. */
  #isExpected(token: number): boolean {
    if (token !== this.#expectedToken) return false;
    this.#expectedToken = 0;
    return true;
  }
}
