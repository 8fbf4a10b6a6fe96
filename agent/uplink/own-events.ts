import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { JetStreamRefused, streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { ShippedEvent, StoredMessage } from "../../shared/protocol/event.ts";
import { carriedHeaders, headerValue } from "../../shared/protocol/headers.ts";
import { eventId } from "../../shared/protocol/identity.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { type LaneMark, parseOrigin, printOf } from "../../shared/protocol/origin.ts";
import { SUBJECT } from "../../shared/protocol/subjects.ts";
import { evenly } from "./evenly.ts";
import type { OutboxRange } from "./uplink-machine.ts";

/** An event as its outbox stores it, ready to be shipped. */
export function shippedFromOutbox(node: string, message: StoredMessage): ShippedEvent {
  const { seq, timeUs, subject, headerText, body } = message;
  const id = eventId({ node, seq }, timeUs, headerText, body);
  return { seq, timeUs, subject, id, headerText: carriedHeaders(headerText), body };
}

/** The same event as it came back in the log or a copy; undefined when it is another node's. */
export function shippedFromLog(
  node: string,
  message: StoredMessage,
): (ShippedEvent & { incarnation: number }) | undefined {
  const origin = parseOrigin(headerValue(message.headerText, HEADER.origin));
  if (origin?.node !== node) return undefined;
  return {
    incarnation: origin.incarnation,
    seq: origin.seq,
    timeUs: Number(headerValue(message.headerText, HEADER.time)?.split(" ")[0]),
    subject: message.subject,
    id: headerValue(message.headerText, HEADER.id) ?? "",
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
    return { first: state.messages === 0 ? state.last_seq + 1 : state.first_seq, last: state.last_seq };
  }

  /** The print of the own event at a sequence. */
  async find(seq: number, incarnation: number): Promise<LaneMark | undefined> {
    const message = await getMessage(this.#nc, STREAM.outbox, { seq });
    if (message) return { seq, print: printOf(shippedFromOutbox(this.#node, message)) };
    for await (const event of this.inCopy(incarnation, seq - 1, seq + 1))
      return { seq, print: printOf(event) };
    return undefined;
  }

  /** Up to `count` of the outbox's events after one sequence and up to another, evenly spread, the last one included. */
  async sample(after: number, upTo: number, count: number): Promise<LaneMark[]> {
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

  /** Own events of an incarnation between two sequences, as the copy has them, in order. */
  async *inCopy(incarnation: number, after: number, before: number): AsyncGenerator<ShippedEvent> {
    if (!this.#hasCopy || before <= after + 1) return;
    const state = await streamState(this.#nc, STREAM.events).catch((error: unknown) => {
      if (error instanceof JetStreamRefused && error.code === 404) return undefined;
      throw error;
    });
    if (!state || state.messages === 0) return;
    await using reader = await new StreamReader({
      nc: this.#nc,
      inboxPrefix: this.#inboxPrefix,
      stream: STREAM.events,
      startSeq: state.first_seq,
      filters: [SUBJECT.allEvents],
      silenceMs: 5000,
    }).start();
    for (let reached = 0; reached < state.last_seq; ) {
      for (const message of await reader.next()) {
        reached = message.seq;
        const event = shippedFromLog(this.#node, message);
        if (event?.incarnation === incarnation && event.seq > after && event.seq < before) yield event;
      }
      if (reader.pending === 0) return;
    }
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
