import type { NamedReaderOptions } from "./named-reader.ts";

/** Which partition an event is of, and by which claim this process has it. */
export interface PartitionClaim {
  /** From 0. */
  readonly partition: number;
  /** Higher with each claim of the partition, by whatever process. */
  readonly fence: number;
}

export interface GroupOptions {
  /** Among how many parts aggregates are spread, 1 to 256: at most so many processes have work. The same in all, for good. */
  readonly partitions: number;
  /**
   * How long a process may be silent before its partitions are others', ms, 1,000 to 600,000. Default 6,000: then they move
   * within 9 s (and two beats of a quarter of it), and at once from a process that ends its loop.
   */
  readonly leaseMs?: number;
  /**
   * For checkpoints in the handler's own transaction, and so exactly once. Called when this process has claimed a partition,
   * before it reads it: store `fence` there where the stored one is lower, and give the checkpoint that is stored; undefined:
   * none. In each transaction, store `event.checkpoint` where the stored fence is that of `reader.claimOf(event)`, and roll back
   * where it is not: the partition has moved.
   */
  readonly claimed?: (claim: PartitionClaim) => Promise<string | undefined>;
}

export interface GroupReaderOptions extends NamedReaderOptions {
  readonly group: GroupOptions;
}

export const DEFAULT_LEASE_MS = 6_000;

/** @throws {TypeError} */
export function checkGroup({ partitions, leaseMs = DEFAULT_LEASE_MS }: GroupOptions): void {
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > 256)
    throw new TypeError(`group.partitions: ${partitions} is no number of partitions; write 1 to 256`);
  if (!(leaseMs >= 1_000 && leaseMs <= 600_000))
    throw new TypeError(
      `group.leaseMs: ${leaseMs} is no time to wait; write milliseconds from 1000 to 600000`,
    );
}
