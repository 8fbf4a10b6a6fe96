/** The most that may pass unseen between two looks at the clock and still count: two of the longest turns of the health watch. */
const MOST_MS = 500;

/**
 * Counts the time in which we were listening. While the process stood still (stopped, swapped out, a long garbage
 * collection, a suspended machine) nobody's heartbeat could be heard, so that time is nobody's silence; and a clock that is
 * set moves nothing. HashiCorp's Lifeguard calls the same concern local health (arXiv:1707.00788).
 */
export class AttentionClock {
  #lastMs: number | undefined;
  #attentionMs = 0;

  /** As it was at the last look. */
  get latestMs(): number {
    return this.#attentionMs;
  }

  /** @param nowMs the machine's clock, ms since the epoch */
  at(nowMs: number): number {
    const passedMs = this.#lastMs === undefined ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#attentionMs += Math.min(Math.max(0, passedMs), MOST_MS);
    return this.#attentionMs;
  }
}
