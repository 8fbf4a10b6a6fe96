import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { errorText } from "../../protocol/error-text.ts";
import { readerSubject } from "../../protocol/subjects.ts";
import { ClientClosed } from "../append-errors.ts";
import { GroupMember } from "./group-member.ts";
import { DEFAULT_LEASE_MS, type GroupReaderOptions } from "./group-options.ts";
import { partitionOf } from "./group-plan.ts";
import { HandOut } from "./hand-out.ts";
import { KeptCheckpoint } from "./kept-checkpoint.ts";
import { PartitionHolding } from "./partition-holding.ts";
import type { CimEvent } from "./read-event.ts";
import type { GroupRecord } from "./reader-record.ts";
import { Subscription } from "./subscription.ts";

/** How often it is kept how far a partition has come through others' events. */
const PROGRESS_EVERY_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** One loop of a group's process: claims the partitions that are to be its own, reads them, and gives back what is not. */
export class GroupLoop implements AsyncDisposable {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #options: GroupReaderOptions;
  readonly #leaseMs: number;
  readonly #member: GroupMember;
  readonly #out = new HandOut();
  readonly #held = new Map<number, PartitionHolding>();
  readonly #giving = new Set<Promise<void>>();
  /** Since when a partition was to be ours that another member still has. */
  readonly #wantedSinceMs = new Map<number, number>();
  #last: PartitionHolding | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection, node: string, options: GroupReaderOptions) {
    const { durable: name, group, domain, aggregate, type, from = "start", signal, onNotice } = options;
    this.#nc = nc;
    this.#node = node;
    this.#options = options;
    this.#leaseMs = group.leaseMs ?? DEFAULT_LEASE_MS;
    this.#member = new GroupMember({
      nc,
      node,
      name,
      partitions: group.partitions,
      leaseMs: this.#leaseMs,
      filter: { domain, aggregate, type },
      begin: () => this.#subscription(from).beginning(),
      onBeat: (record) => this.#settle(record),
      onNotice: (line) => onNotice?.(line),
      // A client that is closed ends its loops, as a signal does.
      onFailure: (error) => this.end(error instanceof ClientClosed ? undefined : error),
    });
    signal?.addEventListener("abort", this.#onAbort);
  }

  get holdings(): PartitionHolding[] {
    return [...this.#held.values()];
  }

  /** @throws {ReaderDiffers} {StoreUnavailable} */
  async start(): Promise<void> {
    if (this.#options.signal?.aborted) return this.end();
    await this.#member.start();
    this.#timer = setInterval(() => {
      for (const holding of this.holdings) holding.progress().catch((error: unknown) => this.#tell(error));
    }, PROGRESS_EVERY_MS);
    this.#timer.unref();
  }

  /** The next event of any partition; the one before it is handled. undefined: the loop is to end. */
  async next(): Promise<{ readonly holding: PartitionHolding; readonly event: CimEvent } | undefined> {
    if (this.#last) this.#last.isHandled = true;
    // After a pause others may have the partitions: not before a beat says that they have not.
    const next = await this.#out.take(() => this.#member.isPresent);
    this.#last = next?.holding;
    if (next) {
      next.holding.handedOut += 1;
      next.holding.isHandled = false;
    }
    return next;
  }

  end(failure?: unknown): void {
    for (const holding of this.holdings) holding.end();
    this.#out.end(failure);
  }

  /** A partition that others have. */
  drop(holding: PartitionHolding): void {
    if (this.#held.get(holding.partition) === holding) this.#held.delete(holding.partition);
    holding.end();
    this.#out.remove(holding);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    clearInterval(this.#timer);
    this.end();
    await this.#member.stop();
    for (const holding of this.holdings) holding.end();
    const released = this.holdings.map((holding) => this.#release(holding));
    await Promise.all([...released, ...this.#giving]);
    this.#held.clear();
    await this.#member[Symbol.asyncDispose]();
  }

  readonly #onAbort = () => this.end();

  /** Brings what this process has to what the group agreed on. */
  async #settle({ owners, members, begin }: GroupRecord): Promise<void> {
    this.#out.look();
    for (const holding of this.holdings) {
      if (holding.kept.taken) this.drop(holding);
      else if (owners[holding.partition] !== this.#member.id) this.#give(holding);
    }
    const wanted = owners.flatMap((owner, partition) => (owner === this.#member.id ? partition : []));
    for (const partition of this.#wantedSinceMs.keys())
      if (!wanted.includes(partition)) this.#wantedSinceMs.delete(partition);
    await Promise.all(
      wanted.map(async (partition) => {
        if (!this.#held.has(partition)) await this.#claim(partition, members, begin);
      }),
    );
  }

  async #claim(partition: number, members: Readonly<Record<string, number>>, begin: string): Promise<void> {
    const { durable, group, domain, aggregate, type } = this.#options;
    const sinceMs = this.#wantedSinceMs.get(partition) ?? performance.now();
    this.#wantedSinceMs.set(partition, sinceMs);
    const kept = new KeptCheckpoint({
      nc: this.#nc,
      node: this.#node,
      name: `partition ${partition} of ${durable}`,
      subject: readerSubject(`${durable}.${partition}`),
      filter: { domain, aggregate, type },
      member: this.#member.id,
    });
    // Who is there gives it back when what it handles is saved; who is not, or takes a lease for that, is not waited for.
    const isOverdue = performance.now() - sinceMs > this.#leaseMs;
    const mayTake = (owner: string) => {
      const member = owner.split("/")[0] ?? "";
      return member === this.#member.id || isOverdue || members[member] === undefined;
    };
    const claimed = await kept.claim(async () => begin, mayTake);
    if (!claimed) return;
    this.#wantedSinceMs.delete(partition);
    const own = await group.claimed?.({ partition, fence: claimed.fence });
    const from = own ?? claimed.checkpoint ?? "start";
    const holding = new PartitionHolding({
      partition,
      fence: claimed.fence,
      kept,
      subscription: this.#subscription(from),
      isMine: (event) => partitionOf(event.domain, event.aggregate, group.partitions) === partition,
      onReady: () => this.#out.look(),
    });
    this.#held.set(partition, holding);
    this.#out.add(holding);
    // Nothing comes any more, as the client was closed.
    const end = (error?: unknown) => {
      if (!holding.ended) this.end(error);
    };
    holding.read().then(() => end(), end);
  }

  /** Gives a partition back when what was handed out is saved, or half a lease has passed. */
  #give(holding: PartitionHolding): void {
    this.drop(holding);
    const giving = this.#whenSaved(holding).then(() => this.#release(holding));
    this.#giving.add(giving);
    void giving.finally(() => this.#giving.delete(giving));
  }

  async #whenSaved(holding: PartitionHolding): Promise<void> {
    const untilMs = performance.now() + this.#leaseMs / 2;
    // Who keeps checkpoints in transactions does not save; the fence is what counts then.
    const isDone = () => holding.isHandled && (holding.isSaved || this.#options.group.claimed !== undefined);
    while (!isDone() && performance.now() < untilMs && !this.#nc.isClosed()) await sleep(LOOK_EVERY_MS);
  }

  async #release(holding: PartitionHolding): Promise<void> {
    if (this.#nc.isClosed()) return;
    try {
      await holding.progress();
      await holding.kept.release();
    } catch (error) {
      // It is taken from this process when it is gone, or the lease is over.
      this.#tell(error);
    }
  }

  #subscription(from: NonNullable<GroupReaderOptions["from"]>): Subscription {
    const { signal: _, ...options } = this.#options;
    return new Subscription(this.#nc, this.#node, { ...options, from });
  }

  #tell(error: unknown): void {
    this.#options.onNotice?.(errorText(error));
  }
}
