import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf } from "../../shared/follow/read-history.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { firstKept, streamState, unlessMissing } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { ALL_DOMAINS, laneRecord, readRecord, refusedRecord } from "../../shared/protocol/control-records.ts";
import type { ShippedEvent, StoredMessage } from "../../shared/protocol/event.ts";
import { carriedHeaders } from "../../shared/protocol/headers.ts";
import { eventId } from "../../shared/protocol/identity.ts";
import { shippedInLog } from "../../shared/protocol/logged-event.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { type LaneMark, printOf } from "../../shared/protocol/origin.ts";
import { controlRecordSubject, SUBJECT } from "../../shared/protocol/subjects.ts";
import { readCopyState } from "../downlink/copy-state.ts";
import { evenly } from "./evenly.ts";
import type { OutboxRange } from "./lane-search.ts";
import { isOnPath, ownPath, type PathSegment, wantedPrints } from "./own-path.ts";

/** An event as its outbox stores it, ready to be shipped. */
export function shippedFromOutbox(node: string, message: StoredMessage): ShippedEvent {
  const { seq, timeUs, subject, headerText, body } = message;
  const id = eventId({ node, seq }, timeUs, headerText, body);
  return { seq, timeUs, subject, id, headerText: carriedHeaders(headerText), body };
}

/** The same event as it came back in the log or a copy; undefined when it is another node's, or was in no outbox. */
export function shippedFromLog(
  node: string,
  message: StoredMessage,
): (ShippedEvent & { incarnation: number }) | undefined {
  const logged = shippedInLog(message);
  if (logged?.origin.node !== node) return undefined;
  const { origin, id, timeUs } = logged;
  return {
    incarnation: origin.incarnation,
    seq: origin.seq,
    timeUs,
    subject: message.subject,
    id,
    headerText: carriedHeaders(message.headerText),
    body: message.body,
  };
}

/** A node's own events, where it still has them: in its outbox, and after a trim in its copy. */
export class OwnEvents {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #inboxPrefix: string;
  readonly #hasCopy: boolean;

  constructor(init: { nc: NatsConnection; node: string; inboxPrefix: string; hasCopy: boolean }) {
    this.#nc = init.nc;
    this.#node = init.node;
    this.#inboxPrefix = init.inboxPrefix;
    this.#hasCopy = init.hasCopy;
  }

  async range(): Promise<OutboxRange> {
    const state = await streamState(this.#nc, STREAM.outbox);
    return { first: firstKept(state), last: state.last_seq };
  }

  /** The print of the own event at a sequence. */
  async find(seq: number, place: "outbox" | "copy"): Promise<LaneMark | undefined> {
    if (place === "copy") return (await this.#copyMarks(seq - 1, seq))[0];
    const message = await getMessage(this.#nc, STREAM.outbox, { seq });
    return message && { seq, print: printOf(shippedFromOutbox(this.#node, message)) };
  }

  /** Own events after one sequence and up to another, evenly spread, the last one included, about `count` of them. */
  async sample(after: number, upTo: number, count: number): Promise<LaneMark[]> {
    const { first } = await this.range();
    const trimmed = after + 1 < first ? await this.#copyMarks(after, Math.min(upTo, first - 1)) : [];
    return [...evenly(trimmed, count), ...(await this.#outboxMarks(after, upTo, count))];
  }

  async #outboxMarks(after: number, upTo: number, count: number): Promise<LaneMark[]> {
    const last = await this.#lastUpTo(after, upTo);
    if (last === undefined) return [];
    const targets: number[] = [];
    for (let seq = after + 1; seq <= last; seq += Math.max(1, Math.floor((last - after) / count)))
      targets.push(seq);
    const found = new Map<number, LaneMark>();
    for (const target of [...evenly(targets, count), last]) {
      const message = await this.#firstFrom(target);
      if (!message || message.seq > last) continue;
      found.set(message.seq, { seq: message.seq, print: printOf(shippedFromOutbox(this.#node, message)) });
    }
    return [...found.values()].sort((a, b) => a.seq - b.seq);
  }

  /** Own events between two sequences that the outbox no longer has, as the copy has them, in order. */
  async *inCopy(after: number, before: number): AsyncGenerator<ShippedEvent> {
    if (!this.#hasCopy || before <= after + 1) return;
    const path = await this.copyPath();
    if (path.length === 0) return;
    const wanted = (message: StoredMessage) => {
      const event = shippedFromLog(this.#node, message);
      const isIn = event && event.seq > after && event.seq < before;
      return isIn && isOnPath(path, event.incarnation, event.seq) ? event : undefined;
    };
    const places = await this.#placesOutOfOrder(wanted);
    if (!places) {
      for await (const message of this.#copy()) {
        const event = wanted(message);
        if (event) yield event;
      }
      return;
    }
    for (const place of places) {
      const message = await getMessage(this.#nc, STREAM.events, { seq: place });
      const event = message && wanted(message);
      if (event) yield event;
    }
  }

  /** A domain that was filled in stands behind younger events: then the copy's sequences by the own ones, else undefined. */
  async #placesOutOfOrder(
    wanted: (message: StoredMessage) => ShippedEvent | undefined,
  ): Promise<number[] | undefined> {
    const places: { seq: number; place: number }[] = [];
    let sorted = true;
    for await (const message of this.#copy({ headersOnly: true })) {
      const event = wanted(message);
      if (!event) continue;
      sorted &&= event.seq > (places.at(-1)?.seq ?? 0);
      places.push({ seq: event.seq, place: message.seq });
    }
    return sorted ? undefined : places.sort((a, b) => a.seq - b.seq).map(({ place }) => place);
  }

  /**
   * Whether the copy has all own events that ever were between two sequences. Following everything, and having the
   * outbox's first event, it has all before it. Following some domains it may lack others: only if no number is missing.
   */
  async copyHasAll(after: number, before: number): Promise<boolean> {
    const path = await this.copyPath();
    if (path.length === 0) return false;
    const { record } = await readCopyState(this.#nc);
    if (record?.live.includes(ALL_DOMAINS)) return true;
    let count = 0;
    for await (const { seq, incarnation } of this.#ownMarks())
      if (seq > after && seq < before && isOnPath(path, incarnation, seq)) count += 1;
    return count === before - after - 1;
  }

  /** Whether an own event of the copy is on the way to the outbox's first event, or in the outbox. */
  async isKept(path: readonly PathSegment[], message: StoredMessage): Promise<boolean> {
    const event = shippedFromLog(this.#node, message);
    if (!event) return false;
    if (isOnPath(path, event.incarnation, event.seq)) return true;
    return (await this.find(event.seq, "outbox"))?.print === printOf(event);
  }

  /** The newest own event that came back: looked for from the copy's end, ever further back. */
  async newestInCopy(): Promise<LaneMark | undefined> {
    const { first_seq: first, last_seq: last } = await streamState(this.#nc, STREAM.events);
    for (let window = 1000; ; window *= 8) {
      const startSeq = Math.max(first, last - window);
      let newest: LaneMark | undefined;
      for await (const message of this.#copy({ headersOnly: true, startSeq })) {
        const event = shippedFromLog(this.#node, message);
        if (event) newest = { seq: event.seq, print: printOf(event) };
      }
      if (newest || startSeq === first) return newest;
    }
  }

  async #copyMarks(after: number, upTo: number): Promise<LaneMark[]> {
    const path = await this.copyPath();
    const marks: LaneMark[] = [];
    if (path.length === 0 || upTo <= after) return marks;
    for await (const mark of this.#ownMarks()) {
      const { seq, print } = mark;
      if (seq > after && seq <= upTo && isOnPath(path, mark.incarnation, seq)) marks.push({ seq, print });
    }
    return marks;
  }

  /** The way in the copy to the outbox's first event. Of an empty outbox nothing can be said. */
  async copyPath(): Promise<PathSegment[]> {
    if (!this.#hasCopy) return [];
    const starts = new Map<number, LaneMark>();
    for await (const message of this.#copy({ filter: controlRecordSubject("lane") })) {
      const record = readRecord(laneRecord, message);
      if (record?.node === this.#node) starts.set(record.incarnation, record.common);
    }
    const first = await this.#firstFrom(1);
    if (!first) return [];
    const anchor = { seq: first.seq, print: printOf(shippedFromOutbox(this.#node, first)) };
    const wanted = wantedPrints(starts, anchor);
    const owners = new Map<string, number>();
    for await (const { print, incarnation } of this.#ownMarks())
      if (wanted.has(print)) owners.set(print, incarnation);
    return ownPath(starts, owners, anchor);
  }

  /** Own events in the copy, taken and then refused, each in the log's order. */
  async *#ownMarks(): AsyncGenerator<LaneMark & { incarnation: number }> {
    for await (const message of this.#copy({ headersOnly: true })) {
      const event = shippedFromLog(this.#node, message);
      if (event) yield { seq: event.seq, print: printOf(event), incarnation: event.incarnation };
    }
    for await (const message of this.#copy({ filter: controlRecordSubject("refused") })) {
      const record = readRecord(refusedRecord, message);
      if (record?.node === this.#node) yield record;
    }
  }

  async *#copy(
    only: { filter?: string; headersOnly?: boolean; startSeq?: number } = {},
  ): AsyncGenerator<StoredMessage> {
    const state = await unlessMissing(streamState(this.#nc, STREAM.events));
    if (!state || state.messages === 0) return;
    await using reader = await new StreamReader({
      nc: this.#nc,
      inboxPrefix: this.#inboxPrefix,
      stream: STREAM.events,
      startSeq: only.startSeq ?? state.first_seq,
      filters: [only.filter ?? SUBJECT.allEvents],
      headersOnly: only.headersOnly ?? false,
      silenceMs: 5000,
    }).start();
    // What somebody had an answer stored as is no record, whatever its subject.
    for await (const messages of reader.backlog(state.last_seq))
      for (const message of messages) if (positionOf(message)) yield message;
  }

  #firstFrom(seq: number): Promise<StoredMessage | undefined> {
    return getMessage(this.#nc, STREAM.outbox, { seq, next_by_subj: SUBJECT.allEvents });
  }

  /** The highest sequence in (after, upTo] that the outbox has. */
  async #lastUpTo(after: number, upTo: number): Promise<number | undefined> {
    if (upTo <= after) return undefined;
    const first = await this.#firstFrom(after + 1);
    if (!first || first.seq > upTo) return undefined;
    let known = first.seq;
    let high = upTo;
    while (known < high) {
      const middle = Math.floor((known + high) / 2) + 1;
      const message = await this.#firstFrom(middle);
      if (message && message.seq <= high) known = message.seq;
      else high = middle - 1;
    }
    return known;
  }
}
