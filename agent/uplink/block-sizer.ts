/** Bounds of a block before packing, bytes. The lower one still holds ten events of the usual size. */
const SMALLEST = 4 * 1024;
const LARGEST = 512 * 1024;
const FIRST = 64 * 1024;

/** A block should be on its way no longer than that: a live event waits behind at most two. */
const SLOW_MS = 400;
const FAST_MS = 100;
/** A server's fsync may take seconds before the link is to blame. */
const SHORTEST_TIMEOUT_MS = 3000;
const LONGEST_TIMEOUT_MS = 60_000;

/**
 * How large a block may be, found from how long blocks take: doubled when they are quick, halved when they are slow, so
 * that a link of 64 kbit/s is shared between backlog and live events in pieces of a second.
 */
export class BlockSizer {
  #bytes = FIRST;
  #slowestMs = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** How long to wait for an answer: ten times what blocks lately took. */
  get timeoutMs(): number {
    return Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, this.#slowestMs * 10));
  }

  answered(blockBytes: number, elapsedMs: number): void {
    this.#slowestMs = Math.max(elapsedMs, this.#slowestMs * 0.9);
    if (elapsedMs > SLOW_MS) this.#bytes = Math.max(SMALLEST, Math.floor(this.#bytes / 2));
    else if (elapsedMs < FAST_MS && blockBytes > this.#bytes / 2)
      this.#bytes = Math.min(LARGEST, this.#bytes * 2);
  }

  unanswered(): void {
    this.#bytes = Math.max(SMALLEST, Math.floor(this.#bytes / 4));
    this.#slowestMs = Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, this.#slowestMs * 2));
  }
}
