import { AwaitedAnswer } from "../../shared/follow/awaited-answer.ts";
import { type Block, MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";
import type { IngestReply, IngestRequest, LaneReply, Refusal } from "../../shared/protocol/messages.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET, printOf, sameMark } from "../../shared/protocol/origin.ts";
import { type Reign, sameReign } from "../../shared/protocol/reign.ts";
import { BlockQueue } from "./block-queue.ts";
import { LaneSearch, type LaneStep, type OutboxRange, SAMPLE } from "./lane-search.ts";
import type { UplinkOutput } from "./uplink-output.ts";

export interface UplinkSettings {
  /**
   * Blocks on their way at once. Two keep the pipe full; further ones leave only while all that are on their way would fit
   * into one, so that a live event is at the hub when the next batch is made, and not one batch later.
   */
  readonly maxInFlight: number;
  /** Largest block, bytes before packing; one larger event travels alone. */
  readonly blockBytes: () => number;
  /** What may wait here, bytes. */
  readonly maxQueueBytes: number;
}

type Phase =
  | { readonly name: "idle" }
  | { readonly name: "surveying" | "greeting" }
  | { readonly name: "searching"; readonly search: LaneSearch }
  | { readonly name: "incarnating"; readonly incarnation: number; readonly common: LaneMark }
  | { readonly name: "refilling"; readonly before: number }
  | { readonly name: "shipping" }
  | { readonly name: "stopped"; readonly after: number; readonly before: number };

interface InFlight {
  readonly token: number;
  readonly events: readonly ShippedEvent[];
  readonly bytes: number;
  readonly acceptedHole: boolean;
}

const FULL_PIPE = 2;

/**
 * Ships an outbox. Pure: methods take what happened and return what is to be done. Its position is the log's mark of its
 * lane, asked for at every beginning, and taken only when the outbox still has that very event: an outbox that was
 * restored, cloned or recreated goes on as a new incarnation from the point where it differs.
 */
export class UplinkMachine {
  readonly #settings: UplinkSettings;
  #phase: Phase = { name: "idle" };
  readonly #awaited = new AwaitedAnswer();
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
  /** The condition is raised; whoever mends it need not be us. */
  #holeSaid = false;
  /** The last own event that had to come from the copy. */
  #refillEnd = 0;
  readonly #queue = new BlockQueue();
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
    return this.#awaited.is(token);
  }

  /** All own events are in the log or the outbox: what a copy has of them is not needed to ship. */
  get refilled(): boolean {
    return this.#phase.name === "shipping" && this.#accepted >= this.#refillEnd;
  }

  /** More events may be offered. */
  get hungry(): boolean {
    return this.#queue.bytes < this.#settings.maxQueueBytes;
  }

  /** Starts or starts over: the link came up, or it is time to ask again. */
  begin(): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "surveying" };
    return [...stop, { do: "survey", token: this.#awaited.ask() }];
  }

  /** The link went down: nothing that is on its way will be answered. */
  lost(): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "idle" };
    return stop;
  }

  surveyed(token: number, outbox: OutboxRange | undefined): UplinkOutput[] {
    if (!this.#awaited.came(token)) return [];
    if (!outbox) return this.#later();
    this.#outbox = { first: Math.max(1, outbox.first), last: outbox.last };
    this.#phase = { name: "greeting" };
    const request: IngestRequest = {
      op: "hello",
      version: PROTOCOL_VERSION,
      seen: this.#seen ?? null,
      outbox: this.#outbox,
    };
    return [{ do: "ask", token: this.#awaited.ask(), request }];
  }

  answered(token: number, reply: IngestReply | undefined): UplinkOutput[] {
    const shipped = this.#inFlight.find((block) => block.token === token);
    if (!shipped && !this.#awaited.came(token)) return [];
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
    if (!this.#awaited.came(token) || this.#phase.name !== "searching") return [];
    const { search } = this.#phase;
    return this.#step(search, search.found(own));
  }

  sampled(token: number, own: readonly LaneMark[]): UplinkOutput[] {
    if (!this.#awaited.came(token) || this.#phase.name !== "searching") return [];
    const { search } = this.#phase;
    return this.#step(search, search.sampled(own));
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
    }
    return [...out, ...this.#pump()];
  }

  /** `whole`: the copy has the outbox's first event too, so that it had all that ever was in between. */
  refillEnded(token: number, whole: boolean): UplinkOutput[] {
    if (!this.#awaited.came(token) || this.#phase.name !== "refilling") return [];
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
    return this.begin();
  }

  #greeted(lane: LaneReply): UplinkOutput[] {
    const asked = this.#phase.name === "incarnating" ? this.#phase : undefined;
    if (asked?.incarnation === lane.incarnation && sameMark(asked.common, lane.mark))
      return this.#continue(lane);
    const out: UplinkOutput[] = [];
    if (lane.mark.seq < this.#everAccepted && lane.incarnation === this.#incarnation) {
      const detail = `the log has events up to ${lane.mark.seq}, it once had ${this.#everAccepted}: they are shipped again`;
      out.push({ do: "raise", code: "log-went-back", detail });
      this.#everAccepted = lane.mark.seq;
    }
    const isAccepted = (after: number, before: number) => this.#isAccepted(after, before);
    const search = new LaneSearch({ lane, outbox: this.#outbox, isAccepted });
    this.#phase = { name: "searching", search };
    return [...out, ...this.#step(search, search.begin())];
  }

  #compared(known: readonly boolean[], reign: Reign): UplinkOutput[] {
    if (this.#phase.name !== "searching") return this.#restart();
    const { search } = this.#phase;
    if (!sameReign(reign, search.lane.reign)) return this.#restart();
    return this.#step(search, search.compared(known));
  }

  #step({ lane }: LaneSearch, next: LaneStep): UplinkOutput[] {
    switch (next.step) {
      case "find":
        return [{ do: "find", token: this.#awaited.ask(), seq: next.seq, in: next.in }];
      case "sample":
        return [
          { do: "sample", token: this.#awaited.ask(), after: next.after, upTo: next.upTo, count: SAMPLE },
        ];
      case "compare":
        return [{ do: "ask", token: this.#awaited.ask(), request: { op: "prints", marks: [...next.marks] } }];
      case "continue":
        return this.#continue(lane);
      case "hole":
        return this.#stopAtHole(next.after, next.before);
      case "part":
        return [
          ...this.#sayParted(lane, next.common),
          ...this.#incarnate(lane.reign, lane.incarnation, next.common),
        ];
    }
  }

  #sayParted(lane: LaneReply, common: LaneMark): UplinkOutput[] {
    if (lane.incarnation === 0) return [];
    const detail =
      common.seq === 0
        ? `the outbox is a new one; the log has ${lane.top} events of an earlier one`
        : `the outbox left what the log has of it after event ${common.seq}`;
    return [{ do: "raise", code: "outbox-rolled-back", detail }];
  }

  #incarnate(reign: Reign, predecessor: number, common: LaneMark): UplinkOutput[] {
    this.#phase = { name: "incarnating", incarnation: predecessor + 1, common };
    const request: IngestRequest = { op: "incarnate", reign, predecessor, common };
    return [{ do: "ask", token: this.#awaited.ask(), request }];
  }

  /** The lane's mark is ours: ship what comes after it. */
  #continue(lane: LaneReply): UplinkOutput[] {
    if (this.#incarnation !== lane.incarnation) this.#everAccepted = 0;
    this.#incarnation = lane.incarnation;
    this.#queue.maxMessageBytes = lane.maxMessageBytes ?? Number.POSITIVE_INFINITY;
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
    return [...out, { do: "refill", token: this.#awaited.ask(), after: lane.mark.seq, before: first }];
  }

  #readFrom(seq: number): UplinkOutput[] {
    this.#phase = { name: "shipping" };
    this.#refillEnd = this.#lastOffered;
    this.#lastOffered = seq - 1;
    const mended: UplinkOutput[] = this.#holeSaid ? [{ do: "clear", code: "log-hole" }] : [];
    this.#holeSaid = false;
    return [...mended, { do: "read", from: seq }, ...this.#pump()];
  }

  #isAccepted(after: number, before: number): boolean {
    return this.#acceptHole?.after === after && this.#acceptHole.before === before;
  }

  #stopAtHole(after: number, before: number): UplinkOutput[] {
    const stop = this.#drop();
    this.#phase = { name: "stopped", after, before };
    this.#holeSaid = true;
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
    const token = this.#awaited.token();
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
    while (!this.#queue.empty && this.#mayShip()) {
      const { events, bytes } = this.#queue.take(this.#settings.blockBytes(), this.#holeBefore);
      const token = this.#awaited.token();
      const acceptedHole = this.#holeBefore !== undefined && events[0]?.seq === this.#holeBefore;
      const block: Block = {
        incarnation: this.#incarnation,
        previous: this.#sent,
        acceptedHole,
        events,
      };
      const last = events.at(-1) as ShippedEvent;
      this.#sent = { seq: last.seq, print: printOf(last) };
      this.#inFlight.push({ token, events, bytes, acceptedHole });
      out.push({ do: "ship", token, block });
    }
    return out;
  }

  /** With the block that leaves now never more is on its way than two blocks may hold, in bytes and in events. */
  #mayShip(): boolean {
    const { length } = this.#inFlight;
    if (length < FULL_PIPE) return true;
    if (length >= this.#settings.maxInFlight) return false;
    const bytes = this.#inFlight.reduce((sum, block) => sum + block.bytes, 0);
    const events = this.#inFlight.reduce((sum, block) => sum + block.events.length, 0);
    return bytes < this.#settings.blockBytes() && events < MAX_BLOCK_EVENTS;
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
    this.#queue.clear();
    this.#inFlight = [];
    this.#settingAside.clear();
    this.#awaited.forget();
    const out: UplinkOutput[] = wasReading ? [{ do: "stop-reading" }] : [];
    // Until the next greeting this may be another outbox: what was confirmed may not be of it.
    if (this.#trimmable > 0) {
      this.#trimmable = 0;
      out.push({ do: "confirmed", seq: 0 });
    }
    return out;
  }
}
