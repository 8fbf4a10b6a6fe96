import type { NatsConnection } from "@nats-io/transport-node";
import { firstStoredSince, storedTimeIn } from "../../shared/nats/first-stored-since.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import { RECOGNISED_MS } from "../../shared/protocol/commit.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { newestFence, newestMarks } from "../sequencer/read-log.ts";

export interface LogRetentionInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly retentionMs: number;
  readonly log: Log;
  /** Has the leader begin a new reign, whose fence is younger; false: not now. Without it the purge ends at the fence. */
  readonly renewReign?: () => boolean;
  /** Keeps what must be known of these messages when they are gone; where it can't be, they stay. */
  readonly beforePurge?: (part: { readonly startSeq: number; readonly lastSeq: number }) => Promise<void>;
  /** Sequence up to which the hub's states have the log: what is not in them yet stays. undefined: nothing waits for it. */
  readonly foldedSeq?: () => number | undefined;
}

const DAY_MS = 86_400_000;
const EVERY_MS = 3_600_000;
/** A start has more urgent things to do, and a coordinator that is restarted every day must purge all the same. */
const FIRST_MS = 60_000;
/** A new reign begins within milliseconds. */
const RENEWED_MS = 5000;

/**
 * The guide's retention. The log has no max_age, which would delete behind nobody's back: it is purged only behind a
 * record in the log itself that holds all marks, and that record stays. So does the present reign's fence: without it that
 * reign could write no more, and the next would have nothing by which to know this log from another.
 */
export class LogRetention {
  readonly #init: LogRetentionInit;
  #timer: NodeJS.Timeout | undefined;
  #renewed = false;
  /** Of the configuration, and changed with it. */
  retentionMs: number;

  constructor(init: LogRetentionInit) {
    this.#init = init;
    this.retentionMs = init.retentionMs;
  }

  /** Never so short that a commit which may be sent again is forgotten. */
  static ofDays(days: number): number {
    return Math.max(days * DAY_MS, RECOGNISED_MS);
  }

  start(): void {
    this.#after(FIRST_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#renewed = false;
      void this.purge(Date.now()).then(
        () => this.#timer && this.#after(this.#renewed ? RENEWED_MS : EVERY_MS),
      );
    }, delayMs);
    this.#timer.unref();
  }

  /** Purges what is older than the retention. Gives how many messages went. */
  async purge(nowMs: number): Promise<number> {
    const { nc, inboxPrefix, log } = this.#init;
    try {
      const state = await streamState(nc, STREAM.events);
      if (state.messages === 0) return 0;
      const marksSeq = await newestMarks(nc, inboxPrefix, state.first_seq);
      const fence = await newestFence(nc, inboxPrefix, state.first_seq);
      if (marksSeq === undefined || !fence) return 0;
      const since = await firstStoredSince(
        storedTimeIn(nc, STREAM.events),
        state.first_seq,
        state.last_seq,
        (nowMs - this.retentionMs) * 1000,
      );
      const folded = this.#init.foldedSeq?.() ?? Number.POSITIVE_INFINITY;
      const wanted = Math.min(since, marksSeq, folded + 1);
      // A reign may last longer than the retention: then a younger one is begun, and the next turn goes on behind it.
      if (fence.seq < wanted) this.#renewed = this.#init.renewReign?.() ?? false;
      const keepFrom = Math.min(wanted, fence.seq);
      if (keepFrom <= state.first_seq) return 0;
      await this.#init.beforePurge?.({ startSeq: state.first_seq, lastSeq: keepFrom - 1 });
      const { purged } = await jetStreamApi<{ purged: number }>(nc, `STREAM.PURGE.${STREAM.events}`, {
        seq: keepFrom,
      });
      if (purged > 0) log.info({ purged }, "purged the log behind its marks");
      return purged;
    } catch (error) {
      log.warn({ err: error }, "the log could not be purged, tries again");
      return 0;
    }
  }
}
