import { NOTHING, type Sum } from "./sum.ts";

/**
 * The newest events' hashes, one by one: what a log came to a little earlier, where a copy still stands, is told from them.
 * A ring, as every event of the log passes through it.
 */
export class RecentHashes {
  readonly #places: Float64Array;
  readonly #high: Int32Array;
  readonly #low: Int32Array;
  readonly #groups: string[];
  #count = 0;
  /** The highest place that is not here, or not any more. */
  #forgotten = 0;

  constructor(most = 8192) {
    this.#places = new Float64Array(most);
    this.#high = new Int32Array(most);
    this.#low = new Int32Array(most);
    this.#groups = new Array<string>(most).fill("");
  }

  add(group: string, place: number, { high, low }: { readonly high: number; readonly low: number }): void {
    const at = this.#count % this.#places.length;
    if (this.#count++ >= this.#places.length)
      this.#forgotten = Math.max(this.#forgotten, this.#places[at] as number);
    this.#places[at] = place;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#groups[at] = group;
  }

  /** @param upTo the highest place that there was */
  forgetAll(upTo: number): void {
    this.#count = 0;
    this.#forgotten = upTo;
  }

  /** What has a place behind `after` and up to `upTo`; undefined: not all of it is here. */
  sumBetween(after: number, upTo: number, isWanted: (group: string) => boolean): Sum | undefined {
    if (after < this.#forgotten) return undefined;
    let { count, high, low } = NOTHING;
    for (let at = Math.min(this.#count, this.#places.length) - 1; at >= 0; at--) {
      const place = this.#places[at] as number;
      if (place <= after || place > upTo || !isWanted(this.#groups[at] as string)) continue;
      count += 1;
      high = (high + (this.#high[at] as number)) | 0;
      low = (low + (this.#low[at] as number)) | 0;
    }
    return { count, high, low };
  }
}
