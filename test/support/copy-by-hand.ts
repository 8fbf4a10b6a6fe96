import type { NatsConnection } from "@nats-io/transport-node";
import { type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import type { CopyRecord, MarksRecord } from "../../shared/protocol/control-records.ts";
import { carriedHeaders, headerLine } from "../../shared/protocol/headers.ts";
import { eventId } from "../../shared/protocol/identity.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { controlRecordPublishSubject, logPublishSubject } from "../../shared/protocol/subjects.ts";

export interface EventByHand {
  readonly index: number;
  readonly domain: string;
  readonly node?: string;
  /** In its node's outbox; default: the index. */
  readonly seq?: number;
}

/** Writes a log or a copy message by message, with any indexes in any order: a test decides what a copy holds and where. */
export class CopyByHand {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Named `<domain>-<index>`. */
  async events(events: readonly EventByHand[]): Promise<void> {
    await this.#write(
      events.map(({ index, domain, node = "leaf9", seq = index }) => ({
        subject: `cim.log.${domain}.a.Made`,
        headerText:
          position(index) +
          headerLine(HEADER.origin, `${node} 1 e ${seq}`) +
          headerLine(HEADER.id, `${domain}-${index}`) +
          headerLine(HEADER.time, `${index * 1000} ${index * 1000}`),
        body: Buffer.from("{}"),
      })),
    );
  }

  /** An event of this node's outbox, as the log has it. */
  async own(node: string, seq: number, index: number): Promise<void> {
    const message = await getMessage(this.#nc, STREAM.outbox, { seq });
    if (!message) throw new Error(`the outbox has no ${seq}`);
    const { timeUs, subject, headerText, body } = message;
    const id = eventId({ node, seq }, timeUs, headerText, body);
    const added =
      position(index) +
      headerLine(HEADER.origin, `${node} 1 e ${seq}`) +
      headerLine(HEADER.id, id) +
      headerLine(HEADER.time, `${timeUs} ${timeUs}`);
    await this.#write([
      { subject: logPublishSubject(subject), headerText: carriedHeaders(headerText) + added, body },
    ]);
  }

  async reign(index = 1): Promise<void> {
    await this.#record("reign", { reign: { epoch: 1, id: "aa" }, by: "test", previous: null }, index);
  }

  async marks(index: number, { lanes = [], totals = [] }: Partial<MarksRecord> = {}): Promise<void> {
    await this.#record("marks", { lanes, totals, refusedTotals: [] }, index);
  }

  /** What the copy says of itself; `at`: the index where following stands. */
  async record(live: string[], at: number, filling: CopyRecord["filling"] = null): Promise<void> {
    await this.#record("copy", { live, at: { reign: { epoch: 1, id: "aa" }, index: at }, filling });
  }

  async #record(kind: "reign" | "marks" | "copy", content: unknown, index?: number): Promise<void> {
    const headerText = index === undefined ? "" : position(index);
    const body = Buffer.from(JSON.stringify(content));
    await this.#write([{ subject: controlRecordPublishSubject(kind), headerText, body }]);
  }

  async #write(messages: readonly OutgoingMessage[]): Promise<void> {
    const { last_seq: lastSeq } = await streamState(this.#nc, STREAM.events);
    const result = await writeGuarded(this.#nc, messages, { lastSeq });
    if (result.kind !== "stored") throw new Error(`it was not written: ${JSON.stringify(result)}`);
  }
}

const position = (index: number) => headerLine(HEADER.log, `1-aa.${index}`);
