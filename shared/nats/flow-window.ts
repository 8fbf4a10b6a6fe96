export interface FlowWindowInit {
  /** Bytes at first, at least and at most. */
  readonly first: number;
  readonly least: number;
  readonly most: number;
  /** How long what is on its way may take to drain, ms: longer, and the server's pings wait behind it too long. */
  readonly drainMs: number;
}

/**
 * How much may be on its way over a link at once, found from how long it takes to drain: doubled while that is quick,
 * halved when it is slow, a quarter after the link was lost with something on its way. A link of 64 kbit/s comes to a
 * few KiB, so that it is never taken for dead; a fast one to `most` within a few exchanges. What a round trip takes by
 * itself does not count: a satellite link is slow to answer and not narrow.
 */
export class FlowWindow {
  readonly #init: FlowWindowInit;
  #bytes: number;

  constructor(init: FlowWindowInit) {
    this.#init = init;
    this.#bytes = init.first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** So many bytes drained in that time. Little says nothing of what more would have taken. */
  drained(bytes: number, elapsedMs: number): void {
    const { least, most, drainMs } = this.#init;
    if (elapsedMs > drainMs / 3) this.#bytes = Math.max(least, Math.floor(this.#bytes / 2));
    else if (elapsedMs < drainMs / 12 && bytes >= this.#bytes / 2)
      this.#bytes = Math.min(most, this.#bytes * 2);
  }

  /** The link, or the patience with it, ended with something on its way. */
  lost(): void {
    this.#bytes = Math.max(this.#init.least, Math.floor(this.#bytes / 4));
  }
}
