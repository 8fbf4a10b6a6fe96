import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf } from "../../shared/follow/read-history.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import type { FlowWindow } from "../../shared/nats/flow-window.ts";
import { fillConsumer } from "../../shared/nats/server-rights.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { Log } from "../../shared/observe/log.ts";
import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { carriedLogHeaders } from "../../shared/protocol/headers.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { domainFilter, domainOf, logPublishSubject } from "../../shared/protocol/subjects.ts";
import { copyRecordMessage } from "./copy-state.ts";
import type { CopyWriter } from "./copy-writer.ts";

export interface CopyFillInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
  readonly log: Log;
  readonly writer: CopyWriter;
  readonly window: FlowWindow;
  /** Stops following; what was taken is written when it resolves. */
  readonly pause: () => Promise<void>;
  readonly finished: (record: CopyRecord) => void;
  /** It could not go on, and following may stand still: start over, later. */
  readonly interrupted: () => void;
  /** The log's sequence of the first message at or after an index. */
  readonly startSeq: (index: number) => number | undefined;
}

/** One batch with its record stays within JetStream's 1,000. */
const BATCH_EVENTS = 900;

/**
 * Fills newly wanted domains into a copy, from the log's beginning to where the others stand, without touching those.
 * How far it came is in the copy, in the same batch as what it wrote. Near the end following pauses, so that the new
 * domains join at exactly its position and their order is the log's.
 */
export class CopyFill {
  readonly #init: CopyFillInit;
  #run = 0;
  #reader: StreamReader | undefined;
  active = false;

  constructor(init: CopyFillInit) {
    this.#init = init;
  }

  start(record: CopyRecord): void {
    if (this.active || !record.filling) return;
    this.active = true;
    const run = ++this.#run;
    this.#fill(run, record)
      .then(
        () => undefined,
        (error: unknown) => {
          if (run !== this.#run) return;
          this.#init.log.debug({ err: error }, "filling stops, tries again");
          this.#init.interrupted();
        },
      )
      .finally(() => {
        if (run === this.#run) this.active = false;
      });
  }

  stop(): void {
    this.#run += 1;
    this.active = false;
    this.#reader?.break("filling stops");
  }

  async #fill(run: number, record: CopyRecord): Promise<void> {
    const { log } = this.#init;
    const filling = record.filling as NonNullable<CopyRecord["filling"]>;
    log.info({ domains: filling.domains, done: filling.done }, "fills domains into the copy");
    const near = await this.#passOver(run, record, filling.done);
    if (run !== this.#run) return;
    // From here on following stands still, and what came meanwhile is looked for anew: only a new consumer knows of all.
    await this.#init.pause();
    await this.#passOver(run, record, near);
    if (run !== this.#run) return;
    const live = filling.domains.includes(ALL_DOMAINS) ? [ALL_DOMAINS] : [...record.live, ...filling.domains];
    const finished = { live, at: this.#init.writer.followed ?? null, filling: null };
    await this.#note([], finished);
    log.info({ domains: filling.domains }, "domains are filled in");
    this.#init.finished(finished);
  }

  /** Takes over all that the log has by now behind `done` and up to where following stands. Gives how far it came. */
  async #passOver(run: number, record: CopyRecord, done: number): Promise<number> {
    const { nc, inboxPrefix, hubDomain, node, window, writer } = this.#init;
    const filling = record.filling as NonNullable<CopyRecord["filling"]>;
    const startSeq = this.#init.startSeq(done + 1);
    if (startSeq === undefined) return done;
    await using reader = await new StreamReader({
      nc,
      inboxPrefix,
      stream: STREAM.events,
      domain: hubDomain,
      consumerName: fillConsumer(node),
      startSeq,
      window,
      filters: filling.domains.includes(ALL_DOMAINS) ? [] : filling.domains.map(domainFilter),
    }).start();
    this.#reader = reader;
    let reached = done;
    for await (const messages of reader.backlog(Number.MAX_SAFE_INTEGER, BATCH_EVENTS)) {
      if (run !== this.#run) break;
      const end = writer.followed?.index ?? 0;
      const known = messages.filter((message) => positionOf(message) !== undefined);
      const batch = known.filter((message) => (positionOf(message)?.index ?? 0) <= end);
      if (batch.length > 0) {
        reached = positionOf(batch.at(-1))?.index ?? reached;
        await this.#write(batch, { ...record, filling: { ...filling, done: reached } });
      }
      if (batch.length < known.length) break;
    }
    return reached;
  }

  async #write(batch: readonly StoredMessage[], record: CopyRecord): Promise<void> {
    const wanted = batch.filter(({ subject }) => {
      const domain = domainOf(subject);
      return domain !== "_cim" && !followsDomain(record.live, domain);
    });
    const messages = wanted.map(({ subject, headerText, body }) => ({
      subject: logPublishSubject(subject),
      headerText: carriedLogHeaders(headerText),
      body,
    }));
    await this.#note(messages, record);
  }

  async #note(messages: readonly OutgoingMessage[], record: CopyRecord): Promise<void> {
    const result = await this.#init.writer.write(() => [
      ...messages,
      // Its turn has come: what following wrote before is in the copy.
      copyRecordMessage({ ...record, at: this.#init.writer.followed ?? null }),
    ]);
    if (result.kind !== "stored") throw new Error(`the copy was not written as expected: ${result.reason}`);
  }
}
