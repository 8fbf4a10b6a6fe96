import type { NatsConnection } from "@nats-io/transport-node";
import { type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { carriedHeaders, headerLine } from "../../shared/protocol/headers.ts";
import { eventId } from "../../shared/protocol/identity.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { formatLogPosition, type LogPosition, type Reign } from "../../shared/protocol/reign.ts";
import { controlRecordPublishSubject, logPublishSubject } from "../../shared/protocol/subjects.ts";

const MAX_AT_ONCE = 500;

/** Writes a log without a sequencer, so that a test decides what comes when. */
export class LogByHand {
  readonly #nc: NatsConnection;
  #at: LogPosition | undefined;
  #reign: Reign = { epoch: 1, id: "aa" };
  readonly #taken = new Map<string, number>();
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
