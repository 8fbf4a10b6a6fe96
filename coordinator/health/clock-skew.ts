/** Clocks this far apart are worth a word; less may be what a message took. */
const TELL_MS = 2_000;
/** The shortest way of so many heartbeats is what the others are measured by. */
const WINDOW = 16;

/**
 * How far a node's clock is from the hub's, from when heartbeats say they were sent and when they came. A message takes
 * time, never less than none: the smallest difference of several is the closest to the truth. No verdict depends on it.
 */
export class ClockSkew {
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #count = 0;

  /** Both ms since the epoch, by the node's clock and by the hub's. */
  note(sentMs: number, receivedMs: number): void {
    this.#least = Math.min(this.#least, receivedMs - sentMs);
    if (++this.#count < WINDOW) return;
    this.#count = 0;
    this.#leastBefore = this.#least;
    this.#least = Number.POSITIVE_INFINITY;
  }

  /** Seconds by which the node's clock is behind (negative: ahead); undefined while it is near or not known. */
  toldSeconds(rttMs: number | null): number | undefined {
    const ms = Math.min(this.#least, this.#leastBefore);
    if (!Number.isFinite(ms)) return undefined;
    const bound = TELL_MS + (rttMs ?? 0);
    return Math.abs(ms) > bound ? Math.round(ms / 1000) : undefined;
  }
}
