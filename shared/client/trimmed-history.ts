import type { NatsConnection } from "@nats-io/transport-node";
import { readCopyRecord } from "../follow/copy-record.ts";
import { getMessage } from "../nats/get-message.ts";
import { streamState, unlessMissing } from "../nats/jetstream-api.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { printInLog, printInOutbox, shippedInLog } from "../protocol/logged-event.ts";
import { STREAM } from "../protocol/names.ts";
import { SUBJECT } from "../protocol/subjects.ts";
import { findInStream, lastInStream } from "./scan-stream.ts";

/**
 * What the log on a hub, the copy on a leaf, tells of own events that the outbox no longer has. A copy can be of some
 * domains, behind, or just being filled again, and then its silence means nothing: it is believed only when it follows
 * every domain and has one of the events that the outbox still has, hence all before. For one decision, not to be kept.
 */
export class TrimmedHistory {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #timeoutMs: number;
  #whole: Promise<boolean> | undefined;

  constructor(init: { readonly nc: NatsConnection; readonly node: string; readonly timeoutMs: number }) {
    this.#nc = init.nc;
    this.#node = init.node;
    this.#timeoutMs = init.timeoutMs;
  }

  /** Whether all that was trimmed is there. Of an empty outbox it can't be said. */
  isWhole(): Promise<boolean> {
    this.#whole ??= this.#followsAll().then((all) => all && this.#reachesOutbox());
    return this.#whole;
  }

  /** The outbox's sequence of the newest own event of these subjects; 0: none. Undefined: it can't be told. */
  async newestOwn(filter: string): Promise<number | undefined> {
    if (!(await this.isWhole())) return undefined;
    // The newest as the log has them: sequences began again where an outbox was recreated.
    return (await lastInStream(this.#log(filter), (message) => this.#ownSeq(message))) ?? 0;
  }

  #log(filter: string) {
    return { nc: this.#nc, stream: STREAM.events, filter, from: 1, timeoutMs: this.#timeoutMs };
  }

  #ownSeq(message: StoredMessage): number | undefined {
    const origin = shippedInLog(message)?.origin;
    return origin?.node === this.#node ? origin.seq : undefined;
  }

  async #followsAll(): Promise<boolean> {
    const options = { timeoutMs: this.#timeoutMs };
    if (!(await unlessMissing(streamState(this.#nc, STREAM.events, options)))) return false;
    const record = await readCopyRecord(this.#nc, options);
    // A hub's log has no such record.
    return record === undefined || record.live.includes("*");
  }

  async #reachesOutbox(): Promise<boolean> {
    const oldest = await this.#outbox({ seq: 1, next_by_subj: SUBJECT.allEvents });
    if (!oldest) return false;
    const { subject } = oldest;
    const options = { timeoutMs: this.#timeoutMs };
    const newest = await getMessage(this.#nc, STREAM.events, { last_by_subj: subject }, options);
    const seq = newest && this.#ownSeq(newest);
    // Mostly it is a younger own event than the outbox's oldest.
    if (newest && seq !== undefined && seq > oldest.seq) {
      const same = await this.#outbox({ seq });
      if (same && printInOutbox(this.#node, same) === printInLog(newest)) return true;
    }
    const print = printInOutbox(this.#node, oldest);
    const found = await findInStream(
      this.#log(subject),
      (message) => printInLog(message) === print || undefined,
    );
    return found === true;
  }

  #outbox(query: Parameters<typeof getMessage>[2]): Promise<StoredMessage | undefined> {
    return getMessage(this.#nc, STREAM.outbox, query, { timeoutMs: this.#timeoutMs });
  }
}
