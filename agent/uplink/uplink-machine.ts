import { type Block, MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import { type ShippedEvent, weightOf } from "../../shared/protocol/event.ts";
import { withholdContent } from "../../shared/protocol/headers.ts";
import type { IngestReply, IngestRequest, LaneReply, Refusal } from "../../shared/protocol/messages.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET, printOf, sameMark } from "../../shared/protocol/origin.ts";
import { type Reign, sameReign } from "../../shared/protocol/reign.ts";
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

export interface UplinkSettings {
  /** Blocks on their way at once: two keep the pipe full, more make smaller blocks and more work. */
  readonly maxInFlight: number;
  /** Largest block, bytes before packing; one larger event travels alone. */
  readonly blockBytes: () => number;
  /** What may wait here, bytes. */
  readonly maxQueueBytes: number;
}

type Searching = Extract<Phase, { name: "searching" }>;

type Phase =
  | { readonly name: "idle" }
  | { readonly name: "surveying" | "greeting" }
  /** Is the lane's mark our own event? */
  | { readonly name: "finding"; readonly lane: LaneReply }
  /**
   * Which is the last of our events that the log has, of any incarnation? It has `low`; `next` is the first one known that
   * it has not.
   */
  | {
      readonly name: "searching";
      readonly lane: LaneReply;
      readonly low: LaneMark;
      readonly next: number | undefined;
      readonly own: readonly LaneMark[];
      readonly markDeleted: boolean;
      /** The copy could tell of events that were trimmed from the outbox. */
      readonly copyTold: boolean;
    }
  | { readonly name: "incarnating"; readonly incarnation: number; readonly common: LaneMark }
  | {
      readonly name: "refilling";
      readonly before: number;
    }
  | { readonly name: "shipping" }
  | { readonly name: "stopped"; readonly after: number; readonly before: number };

const SAMPLE = 64;
/** What a block says beside an event, and the headers that the log adds to it. */
const BLOCK_ROOM_BYTES = 2048;

interface InFlight {
  readonly token: number;
  readonly events: readonly ShippedEvent[];
  readonly acceptedHole: boolean;
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
  #confirmedByHub = 0;
  /** What the trimmer was told last. */
  #trimmable = 0;
  /** Highest sequence that any reign ever confirmed to us: a lower mark later means that the log went back. */
  #everAccepted = 0;
  #acceptHole: { after: number; before: number } | undefined;
  /** The accepted hole ends at that event. */
  #holeBefore: number | undefined;
  /** The last own event that had to come from the copy. */
  #refillEnd = 0;
  /** The hub's server closes the link at a larger message. */
  #maxMessageBytes = Number.POSITIVE_INFINITY;
  #queue: ShippedEvent[] = [];
  #queueBytes = 0;
  #lastOffered = 0;
  #inFlight: InFlight[] = [];
  /** While any is, no more is shipped: so the hub need not remember more refusals than two blocks have. */
  readonly #settingAside = new Set<number>();
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

  /** Whether what was asked for under that token is still waited for. */
  awaits(token: number): boolean {
    return token === this.#expectedToken;
  }

  /** All own events are in the log or the outbox: what a copy has of them is not needed to ship. */
  get refilled(): boolean {
    return this.#phase.name === "shipping" && this.#accepted >= this.#refillEnd;
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
        return this.#compared(reply.known, reply.reign);
      default:
        return this.#restart();
    }
  }

  found(token: number, own: LaneMark | undefined): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "finding") return [];
    const { lane } = this.#phase;
    const { mark } = lane;
    if (own && sameMark(own, mark)) return this.#continueBehind(lane);
    const { first } = this.#outbox;
    // Whether the mark is ours can't be seen, but nothing is missing in between, or an operator accepts that it is.
    if (!own && (first === mark.seq + 1 || this.#isAccepted(mark.seq, first)))
      return this.#continueBehind(lane);
    return this.#search(lane, NOTHING_YET, { markDeleted: !own });
  }

  sampled(token: number, own: readonly LaneMark[]): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "searching") return [];
    const phase = this.#phase;
    if (own.length === 0) return this.#parted(phase, phase.low);
    const picked = evenly(own, SAMPLE);
    const copyTold = phase.copyTold || picked.some(({ seq }) => seq < this.#outbox.first);
    this.#phase = { ...phase, own: picked, copyTold };
    return [{ do: "ask", token: this.#expect(), request: { op: "prints", marks: picked } }];
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
      const shippable = this.#fits(event) ? event : withholdContent(event);
      this.#queue.push(shippable);
      this.#queueBytes += weightOf(shippable);
    }
    return [...out, ...this.#pump()];
  }

  /** `whole`: the copy has the outbox's first event too, so that it had all that ever was in between. */
  refillEnded(token: number, whole: boolean): UplinkOutput[] {
    if (!this.#isExpected(token) || this.#phase.name !== "refilling") return [];
    const { before } = this.#phase;
    if (!whole) {
      if (!this.#isAccepted(this.#lastOffered, before)) return this.#stopAtHole(this.#lastOffered, before);
      this.#holeBefore = before;
    }
    return this.#readFrom(before);
  }

  /** Refused events are kept apart. */
  asideDone(token: number): UplinkOutput[] {
    return this.#settingAside.delete(token) ? this.#pump() : [];
  }

  /** An operator says that the events in between are gone and shipping shall go on. */
  acceptHole(after: number, before: number): UplinkOutput[] {
    if (this.#phase.name !== "stopped" || this.#phase.after !== after || this.#phase.before !== before)
      return [];
    this.#acceptHole = { after, before };
    return [{ do: "clear", code: "log-hole" }, ...this.begin()];
  }

  #greeted(lane: LaneReply): UplinkOutput[] {
    const asked = this.#phase.name === "incarnating" ? this.#phase : undefined;
    if (asked?.incarnation === lane.incarnation && sameMark(asked.common, lane.mark))
      return this.#continue(lane);
    if (lane.incarnation === 0) return this.#incarnate(lane.reign, 0, NOTHING_YET);
    const out: UplinkOutput[] = [];
    if (lane.mark.seq < this.#everAccepted && lane.incarnation === this.#incarnation) {
      const detail = `the log has events up to ${lane.mark.seq}, it once had ${this.#everAccepted}: they are shipped again`;
      out.push({ do: "raise", code: "log-went-back", detail });
      this.#everAccepted = lane.mark.seq;
    }
    const { seq } = lane.mark;
    if (lane.top === 0) return [...out, ...this.#continue(lane)];
    // Beyond the outbox's end only another one's event can be; the copy may have it, but that says nothing of this one.
    if (seq === 0 || seq > this.#outbox.last) return [...out, ...this.#search(lane, NOTHING_YET)];
    this.#phase = { name: "finding", lane };
    const place = seq < this.#outbox.first ? "copy" : "outbox";
    return [...out, { do: "find", token: this.#expect(), seq, in: place }];
  }

  /** The mark is ours, but is it the last of ours? Not if an outbox was put back that the log had gone on without. */
  #continueBehind(lane: LaneReply): UplinkOutput[] {
    return lane.top > lane.mark.seq ? this.#search(lane, lane.mark) : this.#continue(lane);
  }

  #search(lane: LaneReply, low: LaneMark, known: Partial<Searching> = {}): UplinkOutput[] {
    const { next, markDeleted = false, copyTold = false } = known;
    this.#phase = { name: "searching", lane, low, next, own: [], markDeleted, copyTold };
    const upTo = next === undefined ? Math.min(lane.top, this.#outbox.last) : next - 1;
    return [{ do: "sample", token: this.#expect(), after: low.seq, upTo, count: SAMPLE }];
  }

  #compared(known: readonly boolean[], reign: Reign): UplinkOutput[] {
    if (this.#phase.name !== "searching") return this.#restart();
    const phase = this.#phase;
    const { lane, low, own } = phase;
    if (!sameReign(reign, lane.reign)) return this.#restart();
    // Outboxes that were one agree up to a point and nowhere after it, so the log has all of ours up to a point.
    const last = own.findLastIndex((_, i) => known[i] === true);
    const common = own[last] ?? low;
    const beyond = own[last + 1];
    return beyond ? this.#search(lane, common, { ...phase, next: beyond.seq }) : this.#parted(phase, common);
  }

  /** The last of our events that the log has is known, and the first that it has not, if any up to the lane's top. */
  #parted({ lane, next, markDeleted, copyTold }: Searching, common: LaneMark): UplinkOutput[] {
    const { mark } = lane;
    const { first } = this.#outbox;
    if (sameMark(common, mark)) return this.#continue(lane);
    // Neither the outbox nor a copy has anything that old: whether it is the same lane can't be said.
    if (mark.seq + 1 < first && !copyTold && !this.#isAccepted(mark.seq, first))
      return this.#stopAtHole(mark.seq, first);
    // All that the outbox has below the mark is in the log; only the event at the mark itself was deleted from it.
    if (markDeleted && common.seq < mark.seq && (next === undefined || next > mark.seq))
      return this.#continue(lane);
    // What is in the log of those that were trimmed can't be said: shipping them from a copy that has them a moment later
    // would double them.
    if (common.seq + 1 < first && !copyTold && !this.#isAccepted(common.seq, first))
      return this.#stopAtHole(common.seq, first);
    const detail =
      common.seq === 0
        ? `the outbox is a new one; the log has ${lane.top} events of an earlier one`
        : `the outbox left what the log has of it after event ${common.seq}`;
    return [
      { do: "raise", code: "outbox-rolled-back", detail },
      ...this.#incarnate(lane.reign, lane.incarnation, common),
    ];
  }

  #incarnate(reign: Reign, predecessor: number, common: LaneMark): UplinkOutput[] {
    this.#phase = { name: "incarnating", incarnation: predecessor + 1, common };
    const request: IngestRequest = { op: "incarnate", reign, predecessor, common };
    return [{ do: "ask", token: this.#expect(), request }];
  }

  /** The lane's mark is ours: ship what comes after it. */
  #continue(lane: LaneReply): UplinkOutput[] {
    if (this.#incarnation !== lane.incarnation) this.#everAccepted = 0;
    this.#incarnation = lane.incarnation;
    this.#maxMessageBytes = lane.maxMessageBytes ?? Number.POSITIVE_INFINITY;
    this.#sent = lane.mark;
    this.#accepted = lane.mark.seq;
    this.#lastOffered = lane.mark.seq;
    this.#noteAccepted(lane.mark.seq);
    this.#confirmedByHub = lane.confirmed;
    // Refused events first: what is confirmed may be trimmed.
    const out = [...this.#setAside(lane.refused), ...this.#confirm()];
    const { first } = this.#outbox;
    const next = lane.mark.seq + 1;
    this.#holeBefore = undefined;
    if (first <= next) return [...out, ...this.#readFrom(next)];
    if (this.#isAccepted(lane.mark.seq, first)) {
      this.#holeBefore = first;
      return [...out, ...this.#readFrom(first)];
    }
    this.#phase = { name: "refilling", before: first };
    const detail = `the log has events up to ${lane.mark.seq}, the outbox begins at ${first}: those between come from the copy`;
    out.push({ do: "raise", code: "log-went-back", detail });
    return [...out, { do: "refill", token: this.#expect(), after: lane.mark.seq, before: first }];
  }

  #readFrom(seq: number): UplinkOutput[] {
    this.#phase = { name: "shipping" };
    this.#refillEnd = this.#lastOffered;
    this.#lastOffered = seq - 1;
    return [{ do: "read", from: seq }, ...this.#pump()];
  }

  #isAccepted(after: number, before: number): boolean {
    return this.#acceptHole?.after === after && this.#acceptHole.before === before;
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
    if (shipped.acceptedHole) this.#acceptHole = undefined;
    this.#accepted = Math.max(this.#accepted, reply.accepted);
    this.#noteAccepted(reply.accepted);
    this.#confirmedByHub = Math.max(this.#confirmedByHub, reply.confirmed);
    return [...this.#setAside(reply.refused), ...this.#confirm(), ...this.#pump()];
  }

  #setAside(refusals: readonly Refusal[]): UplinkOutput[] {
    if (refusals.length === 0) return [];
    const token = this.#nextToken++;
    this.#settingAside.add(token);
    const detail = `the log refused ${refusals.length}: ${refusals[0]?.reason}, event ${refusals[0]?.seq}`;
    return [
      { do: "set-aside", token, refusals },
      { do: "raise", code: "refused-events", detail },
    ];
  }

  /** Up to the oldest block that is not answered: its answer may name refused events, which are not set aside yet. */
  #confirm(): UplinkOutput[] {
    const unanswered = this.#inFlight[0]?.events[0]?.seq ?? Number.POSITIVE_INFINITY;
    const seq = Math.min(this.#confirmedByHub, unanswered - 1);
    this.#confirmed = seq;
    if (seq === this.#trimmable) return [];
    this.#trimmable = seq;
    return [{ do: "confirmed", seq }];
  }

  #noteAccepted(seq: number): void {
    this.#everAccepted = Math.max(this.#everAccepted, seq);
  }

  #pump(): UplinkOutput[] {
    const out: UplinkOutput[] = [];
    if (this.#settingAside.size > 0) return out;
    while (this.#inFlight.length < this.#settings.maxInFlight && this.#queue.length > 0) {
      const events = this.#takeBlock();
      const token = this.#nextToken++;
      const acceptedHole = this.#holeBefore !== undefined && events[0]?.seq === this.#holeBefore;
      const block: Block = {
        incarnation: this.#incarnation,
        previous: this.#sent,
        acceptedHole,
        events,
      };
      const last = events.at(-1) as ShippedEvent;
      this.#sent = { seq: last.seq, print: printOf(last) };
      this.#inFlight.push({ token, events, acceptedHole });
      out.push({ do: "ship", token, block });
    }
    return out;
  }

  #fits({ subject, id, headerText, body }: ShippedEvent): boolean {
    // No text takes more than three bytes a character: the exact size matters only near the bound.
    const mostBytes = (subject.length + id.length + headerText.length) * 3 + body.byteLength;
    if (mostBytes + BLOCK_ROOM_BYTES <= this.#maxMessageBytes) return true;
    const textBytes = Buffer.byteLength(subject) + Buffer.byteLength(id) + Buffer.byteLength(headerText);
    return textBytes + body.byteLength + BLOCK_ROOM_BYTES <= this.#maxMessageBytes;
  }

  #takeBlock(): ShippedEvent[] {
    const maxBytes = Math.min(this.#settings.blockBytes(), this.#maxMessageBytes - BLOCK_ROOM_BYTES);
    let bytes = 0;
    let count = 0;
    for (const event of this.#queue) {
      const weight = weightOf(event);
      if (count > 0 && (bytes + weight > maxBytes || count >= MAX_BLOCK_EVENTS)) break;
      // A hole can only be told of before a block.
      if (count > 0 && event.seq === this.#holeBefore) break;
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
    this.#settingAside.clear();
    this.#expectedToken = 0;
    const out: UplinkOutput[] = wasReading ? [{ do: "stop-reading" }] : [];
    // Until the next greeting this may be another outbox: what was confirmed may not be of it.
    if (this.#trimmable > 0) {
      this.#trimmable = 0;
      out.push({ do: "confirmed", seq: 0 });
    }
    return out;
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
