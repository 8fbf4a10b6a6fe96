// Hybrid logical clock: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks" (OPODIS 2014).

/** A time that is close to the clock on the wall and later than all that its writer had seen. */
export interface HybridTime {
  /** ms since the epoch. */
  readonly ms: number;
  /** Tells apart the times within one ms; at most `MAX_COUNTER`. */
  readonly counter: number;
}

export const MAX_COUNTER = 2 ** 31 - 1;

/** 100 million days after 1970, the last that a Date can hold. */
export const MAX_MS = 8.64e15;

export function compareTimes(a: HybridTime, b: HybridTime): number {
  return a.ms - b.ms || a.counter - b.counter;
}

/** A writer's clock: each time that it gives is later than the one before and than every time that it was shown. */
export class HybridClock {
  readonly #nowMs: () => number;
  #last: HybridTime = { ms: 0, counter: 0 };

  /** @param nowMs the clock on the wall, ms since the epoch; may go back */
  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
  }

  /** The time of the next event. */
  now(): HybridTime {
    const wallMs = Math.max(0, Math.floor(this.#nowMs()));
    const { ms, counter } = this.#last;
    if (wallMs > ms) this.#last = { ms: wallMs, counter: 0 };
    else if (counter < MAX_COUNTER) this.#last = { ms, counter: counter + 1 };
    else this.#last = { ms: ms + 1, counter: 0 };
    return this.#last;
  }

  /**
   * What is given from now on is later than this.
   * @param time of an event that was read, as `timeOfStamp` has it: a bare clock of another node may be years ahead
   */
  seen(time: HybridTime): void {
    if (compareTimes(time, this.#last) > 0) this.#last = time;
  }
}
