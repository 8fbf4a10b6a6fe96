import type { NatsConnection } from "@nats-io/transport-node";
import { type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { carriedHeaders, headerLine, headerValue } from "../../shared/protocol/headers.ts";
import { eventId } from "../../shared/protocol/identity.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import {
  formatLogPosition,
  type LogPosition,
  parseLogPosition,
  type Reign,
} from "../../shared/protocol/reign.ts";
import { controlRecordPublishSubject, logPublishSubject } from "../../shared/protocol/subjects.ts";

const MAX_AT_ONCE = 500;

export interface EventByHand {
  readonly node: string;
  readonly aggregate: string;
  readonly data?: unknown;
  /** In the place of `data`. */
  readonly body?: Uint8Array;
  readonly domain?: string;
  readonly type?: string;
  /** `Cim-Clock`. */
  readonly clock?: string;
}

/** Writes a log without a sequencer, so that a test decides what comes when. */
export class LogByHand {
  readonly #nc: NatsConnection;
  #at: LogPosition | undefined;
  #reign: Reign = { epoch: 1, id: "aa" };
  readonly #taken = new Map<string, number>();
  readonly #written = new Map<string, number>();
  incarnation = 1;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  async reign(epoch: number, id: string): Promise<void> {
    this.#reign = { epoch, id };
    const previous = this.#at ?? null;
    const body = Buffer.from(JSON.stringify({ reign: this.#reign, by: "test", previous }));
    await this.#write([{ subject: controlRecordPublishSubject("reign"), headerText: this.#next(), body }]);
  }

  /** A control record that readers come along by, where no event is for them. */
  async marks(): Promise<void> {
    const body = Buffer.from("{}");
    await this.#write([{ subject: controlRecordPublishSubject("marks"), headerText: this.#next(), body }]);
  }

  /** Takes what the outbox has beyond what was taken, up to a sequence. */
  async takeOutbox(node: string, upTo = Number.POSITIVE_INFINITY): Promise<void> {
    const { last_seq } = await streamState(this.#nc, STREAM.outbox);
    const messages: OutgoingMessage[] = [];
    for (let seq = (this.#taken.get(node) ?? 0) + 1; seq <= Math.min(last_seq, upTo); seq++) {
      const message = await getMessage(this.#nc, STREAM.outbox, { seq });
      if (message) messages.push(this.#entry(node, message));
      this.#taken.set(node, seq);
    }
    await this.#write(messages);
  }

  /** Events of another node, `<node>-<n>`. */
  async others(node: string, from: number, to: number): Promise<void> {
    const messages: OutgoingMessage[] = [];
    for (let seq = from; seq <= to; seq++) {
      const headerText = headerLine(HEADER.msgId, `${node}-${seq}`);
      const subject = `cim.events.person.${node}.Made`;
      messages.push(
        this.#entry(node, { seq, timeUs: Date.now() * 1000, subject, headerText, body: Buffer.from("{}") }),
      );
    }
    await this.#write(messages);
  }

  /** One event of another node, as its publisher wrote it. */
  async event(
    node: string,
    seq: number,
    event: { readonly subject: string; readonly body: string; readonly headerText?: string },
  ): Promise<void> {
    const { subject, body, headerText = "" } = event;
    const message = { seq, timeUs: Date.now() * 1000, subject, headerText, body: Buffer.from(body) };
    await this.#write([this.#entry(node, message)]);
  }

  /** Events of other nodes, each with what it says and, where it matters, its clock. */
  async events(given: readonly EventByHand[]): Promise<void> {
    const messages = given.map(
      ({ node, aggregate, data, domain = "person", type = "Changed", clock, body }) => {
        const seq = (this.#written.get(node) ?? 0) + 1;
        this.#written.set(node, seq);
        const id = headerLine(HEADER.msgId, `${node}-${this.incarnation}-${seq}`);
        return this.#entry(node, {
          seq,
          timeUs: Date.now() * 1000,
          subject: `cim.events.${domain}.${aggregate}.${type}`,
          headerText: id + (clock === undefined ? "" : headerLine(HEADER.clock, clock)),
          body: body ?? Buffer.from(JSON.stringify(data)),
        });
      },
    );
    await this.#write(messages);
  }

  /** Goes back to an index, as a log that was restored: what stands in the stream behind it is deleted. */
  async restoredTo(index: number, reign: Reign): Promise<void> {
    const { first_seq: first, last_seq: last } = await streamState(this.#nc, STREAM.events);
    for (let seq = last; seq >= first; seq--) {
      const message = await getMessage(this.#nc, STREAM.events, { seq });
      const at = parseLogPosition(headerValue(message?.headerText ?? "", HEADER.log));
      if (at && at.index <= index) {
        this.#at = at;
        break;
      }
      if (message)
        await jetStreamApi(this.#nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq, no_erase: true });
    }
    await this.reign(reign.epoch, reign.id);
  }

  #entry(node: string, message: StoredMessage): OutgoingMessage {
    const { seq, timeUs, subject, headerText, body } = message;
    const id = eventId({ node, seq }, timeUs, headerText, body);
    const added =
      headerLine(HEADER.origin, `${node} ${this.incarnation} e ${seq}`) +
      headerLine(HEADER.id, id) +
      headerLine(HEADER.time, `${timeUs} ${Date.now() * 1000}`);
    return {
      subject: logPublishSubject(subject),
      headerText: carriedHeaders(headerText) + this.#next() + added,
      body,
    };
  }

  #next(): string {
    this.#at = { reign: this.#reign, index: (this.#at?.index ?? 0) + 1 };
    return headerLine(HEADER.log, formatLogPosition(this.#at));
  }

  async #write(messages: readonly OutgoingMessage[]): Promise<void> {
    if (messages.length === 0) return;
    if (messages.length > MAX_AT_ONCE) {
      await this.#write(messages.slice(0, MAX_AT_ONCE));
      await this.#write(messages.slice(MAX_AT_ONCE));
      return;
    }
    const { last_seq: lastSeq } = await streamState(this.#nc, STREAM.events);
    const result = await writeGuarded(this.#nc, messages, { lastSeq });
    if (result.kind !== "stored") throw new Error(`the log was not written: ${JSON.stringify(result)}`);
  }
}
