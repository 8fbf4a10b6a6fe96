import type { NatsConnection } from "@nats-io/transport-node";
import { isReaderName, READER_NAME_RULE } from "../../protocol/names.ts";
import { type Batch, type BatchLimits, batchesOf, lastOf } from "./batches.ts";
import { GroupLoop } from "./group-loop.ts";
import { checkGroup, type GroupReaderOptions, type PartitionClaim } from "./group-options.ts";
import type { PartitionHolding } from "./partition-holding.ts";
import type { CimEvent } from "./read-event.ts";
import { ReaderTaken } from "./reader-errors.ts";
import { filtersOf } from "./subscribe-options.ts";
import { type PartLag, type ReaderLag, Subscription } from "./subscription.ts";
import { needReadersStream } from "./until-stored.ts";

const NOTHING: PartLag = { events: 0, ms: 0 };

/**
 * A process of a group that shares a durable name. All events of an aggregate are of one partition, and a partition is read
 * by one process at a time, in order. Handled at least once: when a partition moves, what was not saved comes again.
 * One loop at a time.
 *
 * @example Each order is counted once, however many of these run, whichever is killed or paused
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { connectCim } from "cim";
 *
 * const db = new DatabaseSync(process.env.DATABASE ?? "orders.db", { timeout: 5000 });
 * db.exec(`CREATE TABLE IF NOT EXISTS orders (customer TEXT PRIMARY KEY, count INTEGER);
 *   CREATE TABLE IF NOT EXISTS place (partition INTEGER PRIMARY KEY, fence INTEGER, checkpoint TEXT)`);
 * const claim = db.prepare(`INSERT INTO place VALUES (?, ?, NULL)
 *   ON CONFLICT (partition) DO UPDATE SET fence = excluded.fence WHERE fence < excluded.fence`);
 * const place = db.prepare("SELECT checkpoint FROM place WHERE partition = ?");
 * const move = db.prepare("UPDATE place SET checkpoint = ? WHERE partition = ? AND fence = ?");
 * const count = db.prepare(`INSERT INTO orders VALUES (?, 1) ON CONFLICT (customer) DO UPDATE SET count = count + 1`);
 *
 * await using cim = await connectCim({ url: process.env.CIM_NATS_URL ?? "nats://127.0.0.1:4222" });
 * const reader = cim.subscribe({
 *   durable: "order-counts",
 *   domain: "orders",
 *   group: {
 *     partitions: 8,
 *     claimed: async ({ partition, fence }) => {
 *       claim.run(partition, fence);
 *       return (place.get(partition)?.checkpoint as string | null | undefined) ?? undefined;
 *     },
 *   },
 * });
 * for await (const event of reader) {
 *   const { partition, fence } = reader.claimOf(event);
 *   db.exec("BEGIN IMMEDIATE");
 *   count.run(event.aggregate ?? "");
 *   // Of another fence: another process has the partition since, and handles the event.
 *   const { changes } = move.run(event.checkpoint, partition, fence);
 *   db.exec(changes === 1 ? "COMMIT" : "ROLLBACK");
 *   if (event.type === "DayClosed") break;
 * }
 * ```
 */
export class GroupReader implements AsyncIterable<CimEvent> {
  readonly name: string;
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #options: GroupReaderOptions;
  #handed = new WeakMap<CimEvent, { readonly holding: PartitionHolding; readonly number: number }>();
  #loop: GroupLoop | undefined;

  /** @throws {TypeError} {CheckpointInvalid} */
  constructor(nc: NatsConnection, node: string, options: GroupReaderOptions) {
    const { durable } = options;
    if (!isReaderName(durable))
      throw new TypeError(`durable: "${durable}" is no reader's name; write ${READER_NAME_RULE}`);
    checkGroup(options.group);
    // What is wrong in the others is told at once, too.
    filtersOf(options);
    new Subscription(nc, node, { ...options, from: options.from ?? "start" });
    this.name = durable;
    this.#nc = nc;
    this.#node = node;
    this.#options = options;
  }

  /** The partitions that this process has now. */
  get partitions(): readonly number[] {
    return this.#loop?.holdings.map(({ partition }) => partition).toSorted((a, b) => a - b) ?? [];
  }

  /** What waits, of all partitions' events, behind the one of this process that is furthest back. */
  lag(): ReaderLag {
    const lags = this.#loop?.holdings.map(({ subscription }) => subscription.lag()) ?? [];
    const furthest = (part: "log" | "outbox") =>
      lags.reduce((most, lag) => (lag[part].events > most.events ? lag[part] : most), NOTHING);
    return { log: furthest("log"), outbox: furthest("outbox") };
  }

  /** For the handler's own transaction: see `group.claimed`. @throws {TypeError} an event of another reader */
  claimOf(handled: CimEvent | Batch): PartitionClaim {
    const { partition, fence } = this.#find(handled).holding;
    return { partition, fence };
  }

  /**
   * Says that this event, or batch, and all before it of its partition are handled, and keeps that on the node: synced when
   * it resolves.
   *
   * @throws {ReaderTaken} the partition moved meanwhile: nothing was saved. The loop may go on with the others
   * @throws {StoreUnavailable} the node does not answer for half a minute
   * @throws {TypeError} an event of another reader
   */
  async save(handled: CimEvent | Batch): Promise<void> {
    const { holding, number } = this.#find(handled);
    const event = lastOf(handled);
    try {
      await holding.kept.save(number, () => event.checkpoint);
    } catch (error) {
      if (error instanceof ReaderTaken) this.#loop?.drop(holding);
      throw error;
    }
  }

  /** Events in groups, each of one partition, for programs that handle many in one transaction; save the batch. */
  batches(limits: BatchLimits = {}): AsyncGenerator<Batch, void> {
    const isSame = (before: CimEvent, event: CimEvent) =>
      this.#find(before).holding === this.#find(event).holding;
    return batchesOf(this, limits, () => this.#loop?.end(), isSame);
  }

  /** The loop throws also {ReaderDiffers}, {StoreUnavailable}, and {ReaderTaken} when the whole group was removed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<CimEvent, void> {
    await needReadersStream(this.#nc, this.#node);
    await using loop = new GroupLoop(this.#nc, this.#node, this.#options);
    this.#loop = loop;
    this.#handed = new WeakMap();
    await loop.start();
    for (;;) {
      const next = await loop.next();
      if (!next) return;
      this.#handed.set(next.event, { holding: next.holding, number: next.holding.handedOut });
      yield next.event;
    }
  }

  #find(handled: CimEvent | Batch) {
    const found = this.#handed.get(lastOf(handled));
    if (!found) throw new TypeError(`the event is not of the loop that reads ${this.name} now`);
    return found;
  }
}
