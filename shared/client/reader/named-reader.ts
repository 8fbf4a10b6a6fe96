import type { NatsConnection } from "@nats-io/transport-node";
import { errorText } from "../../protocol/error-text.ts";
import { isReaderName, READER_NAME_RULE } from "../../protocol/names.ts";
import { readerSubject } from "../../protocol/subjects.ts";
import { type Batch, type BatchLimits, batchesOf, lastOf } from "./batches.ts";
import { filterNotice, KeptCheckpoint } from "./kept-checkpoint.ts";
import type { CimEvent } from "./read-event.ts";
import { filtersOf, type SubscribeOptions } from "./subscribe-options.ts";
import { type ReaderLag, Subscription } from "./subscription.ts";
import { needReadersStream } from "./until-stored.ts";

export interface NamedReaderOptions extends Omit<SubscribeOptions, "from"> {
  /** The reader's name on this node: 1 to 63 letters, digits, `-` and `_`. Its checkpoint is kept under it. */
  readonly durable: string;
  /** Where a name begins that is new. Default `"start"`. Known names go on where they were. */
  readonly from?: SubscribeOptions["from"];
}

/** How often it is kept how far a reader has come through events that do not match. */
const PROGRESS_EVERY_MS = 30_000;
const NOTHING = { events: 0, ms: 0 };

/**
 * A reader whose checkpoint the node keeps under a name. Handled at least once: what was handled and not yet saved comes
 * again after a crash. One loop at a time; whoever begins to read under a name takes it over from who had it.
 *
 * @example
 * ```ts
 * import { connectCim } from "cim";
 *
 * await using cim = await connectCim({ url: process.env.CIM_NATS_URL ?? "nats://127.0.0.1:4222" });
 * const billing = cim.subscribe({ durable: "billing", domain: "orders" });
 * for await (const batch of billing.batches({ max: 100, waitMs: 50 })) {
 *   for (const event of batch.events) console.log(`${event.aggregate} ${event.type}`);
 *   await billing.save(batch);
 *   if (batch.events.some(({ type }) => type === "DayClosed")) break;
 * }
 * ```
 */
export class NamedReader implements AsyncIterable<CimEvent> {
  readonly name: string;
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #options: NamedReaderOptions & { readonly from: SubscribeOptions["from"] };
  #numbers = new WeakMap<CimEvent, number>();
  #kept: KeptCheckpoint | undefined;
  #subscription: Subscription | undefined;

  /** @throws {TypeError} {CheckpointInvalid} */
  constructor(nc: NatsConnection, node: string, options: NamedReaderOptions) {
    const { durable, from = "start" } = options;
    if (!isReaderName(durable))
      throw new TypeError(`durable: "${durable}" is no reader's name; write ${READER_NAME_RULE}`);
    this.name = durable;
    this.#nc = nc;
    this.#node = node;
    this.#options = { ...options, from };
    // What is wrong in them is told at once.
    filtersOf(this.#options);
    new Subscription(nc, node, this.#options);
  }

  /** What waits, as of the loop that runs. */
  lag(): ReaderLag {
    return this.#subscription?.lag() ?? { log: NOTHING, outbox: NOTHING };
  }

  /**
   * Says that this event, or batch, and all before it are handled, and keeps that on the node: synced when it resolves.
   * Calls that overlap are one write; an event before one that is saved changes nothing.
   *
   * @throws {ReaderTaken} another process reads under this name since, or it was removed: nothing was saved
   * @throws {StoreUnavailable} the node does not answer for half a minute
   * @throws {TypeError} an event of another reader, or of an earlier loop
   */
  async save(handled: CimEvent | Batch): Promise<void> {
    const event = lastOf(handled);
    const upTo = this.#numbers.get(event);
    if (upTo === undefined || !this.#kept)
      throw new TypeError(`save: the event is not of the loop that reads ${this.name} now`);
    await this.#kept.save(upTo, () => event.checkpoint);
  }

  /** Events in groups, for programs that handle many in one transaction; save the batch. */
  batches(limits: BatchLimits = {}): AsyncGenerator<Batch, void> {
    return batchesOf(this, limits, () => this.#subscription?.end());
  }

  /** The loop throws also {ReaderTaken}, {StoreUnavailable} and {ReaderDiffers}. */
  async *[Symbol.asyncIterator](): AsyncGenerator<CimEvent, void> {
    const { name } = this;
    const { domain, aggregate, type, from, onNotice } = this.#options;
    const filter = { domain, aggregate, type };
    await needReadersStream(this.#nc, this.#node);
    const kept = new KeptCheckpoint({
      nc: this.#nc,
      node: this.#node,
      name,
      subject: readerSubject(name),
      filter,
    });
    const claimed = await kept.claim(() => this.#open(from).beginning());
    const notice = claimed?.filter && filterNotice(name, claimed.filter, filter);
    if (notice !== undefined) onNotice?.(notice);
    const subscription = this.#open(claimed?.checkpoint ?? "start");
    this.#numbers = new WeakMap();
    this.#kept = kept;
    this.#subscription = subscription;
    const timer = setInterval(() => this.#progress(kept, subscription), PROGRESS_EVERY_MS);
    timer.unref();
    try {
      let number = 0;
      for await (const event of subscription) {
        if (kept.taken) break;
        this.#numbers.set(event, ++number);
        yield event;
        if (kept.taken) break;
      }
      if (kept.taken) throw kept.taken;
    } finally {
      clearInterval(timer);
    }
  }

  #open(from: SubscribeOptions["from"]): Subscription {
    return new Subscription(this.#nc, this.#node, { ...this.#options, from });
  }

  /** Rare events, and a log that is let go of: a name is to come along also where nothing of it matches. */
  #progress(kept: KeptCheckpoint, subscription: Subscription): void {
    const { rest } = subscription;
    if (!rest) return;
    kept.progress(rest.events, rest.checkpoint).catch((error: unknown) => {
      if (kept.taken) subscription.end();
      else this.#options.onNotice?.(errorText(error));
    });
  }
}
