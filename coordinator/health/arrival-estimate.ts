/** So many arrivals before their mean and deviation say something. */
const ENOUGH = 8;
/** Weight of a new arrival: what was seen about twenty heartbeats ago hardly counts. RFC 6298 takes 1/8 and 1/4. */
const GAIN = 1 / 16;

/**
 * Mean and mean deviation of the time between arrivals, as a TCP sender estimates its round trip (RFC 6298, section 2,
 * with slower gains). Losses are in it: they double a time between two arrivals.
 */
export class ArrivalEstimate {
  #lastMs: number | undefined;
  #meanMs = 0;
  #deviationMs = 0;
  #count = 0;

  /** ms; undefined before there were enough arrivals. */
  get meanMs(): number | undefined {
    return this.#count < ENOUGH ? undefined : this.#meanMs;
  }

  get deviationMs(): number | undefined {
    return this.#count < ENOUGH ? undefined : this.#deviationMs;
  }

  /** Something arrived, at any clock that does not go back. */
  arrived(atMs: number): void {
    const lastMs = this.#lastMs;
    this.#lastMs = atMs;
    if (lastMs === undefined) return;
    const betweenMs = atMs - lastMs;
    if (this.#count === 0) {
      this.#meanMs = betweenMs;
      this.#deviationMs = betweenMs / 2;
    } else {
      const errorMs = betweenMs - this.#meanMs;
      this.#meanMs += GAIN * errorMs;
      this.#deviationMs += GAIN * (Math.abs(errorMs) - this.#deviationMs);
    }
    this.#count += 1;
  }

  /** There was a real silence: its length says nothing about how regular the arrivals are. */
  interrupted(): void {
    this.#lastMs = undefined;
  }

  /** Another sender, or another interval. */
  restart(): void {
    this.#lastMs = undefined;
    this.#count = 0;
  }
}
