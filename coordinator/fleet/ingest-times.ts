/** When the log reached which index, for telling lag in seconds. Bounded: what is older counts as the oldest known. */
export class IngestTimes {
  readonly #most: number;
  #entries: { index: number; atMs: number }[] = [];

  constructor(most = 4096) {
    this.#most = most;
  }

  note(index: number, atMs: number): void {
    const last = this.#entries.at(-1);
    // A new reign over a restored log begins lower.
    if (last && index <= last.index) this.#entries = this.#entries.filter((entry) => entry.index < index);
    this.#entries.push({ index, atMs });
    if (this.#entries.length > this.#most) this.#entries = this.#entries.slice(this.#most / 2);
  }

  /** When the first message after an index was logged, ms since the epoch; undefined: none after it is known. */
  firstAfter(index: number): number | undefined {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as { index: number }).index > index) high = middle;
      else low = middle + 1;
    }
    return this.#entries[low]?.atMs;
  }
}
