import type { BatchBounds } from "./fair-queue.ts";

/** Room beside control records in JetStream's 1,000 messages a batch. */
const MOST_EVENTS = 900;
/** A batch costs as much as some hundred events before it has any: smaller ones only cost. */
const LEAST_EVENTS = 96;
/** Keeps one batch below a slow disk's second. */
const MOST_BYTES = 4 * 1024 * 1024;
/** A live event waits for the batch under way and for its own: two of these and some, 50 ms at most (bench/fairness). */
const SLOW_MS = 10;
const QUICK_MS = 4;
/** Origins that wrote within so many batches share the log. */
const REMEMBERED_BATCHES = 64;

/**
 * How large a batch may be. One origin alone gets the largest; where several share the log, one gets only as much as the
 * disk takes within 10 ms, or those that are live would wait for the one that has a backlog. Many that are live fill the
 * largest batch all the same: with smaller ones a thousand leaves fall behind on a slow disk.
 */
export class BatchPace implements BatchBounds {
  readonly events = MOST_EVENTS;
  readonly bytes = MOST_BYTES;
  readonly #lastBatchOf = new Map<string, number>();
  #batch = 0;
  #paced = MOST_EVENTS;

  get eventsOfOne(): number {
    return this.#lastBatchOf.size > 1 ? this.#paced : MOST_EVENTS;
  }

  /** A batch with events of these origins was stored. */
  stored(origins: Iterable<string>, events: number, elapsedMs: number): void {
    this.#batch += 1;
    for (const origin of origins) this.#lastBatchOf.set(origin, this.#batch);
    for (const [origin, batch] of this.#lastBatchOf) {
      if (this.#batch - batch > REMEMBERED_BATCHES) this.#lastBatchOf.delete(origin);
    }
    if (elapsedMs > SLOW_MS && events > LEAST_EVENTS) {
      this.#paced = Math.max(LEAST_EVENTS, Math.floor(Math.min(events, this.#paced) / 2));
    } else if (elapsedMs < QUICK_MS && events >= this.#paced) {
      this.#paced = Math.min(MOST_EVENTS, this.#paced * 2);
    }
  }
}
