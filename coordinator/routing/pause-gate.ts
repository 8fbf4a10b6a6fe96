const TICK_MS = 400;
/** Less than a lease lasts: another coordinator can't lead before a gap is this long. */
const PAUSE_MS = 1_000;
const MOST_HELD = 10_000;

/**
 * Holds what came while this process stood still until it is known whether it still leads: another coordinator may have
 * taken over meanwhile, and would have had the same commands done.
 */
export class PauseGate {
  readonly #stillLeads: () => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #tickedMs = 0;
  #held: (() => void)[] | undefined;

  constructor(stillLeads: () => Promise<boolean>) {
    this.#stillLeads = stillLeads;
  }

  start(): void {
    this.#tickedMs = performance.now();
    this.#timer = setInterval(() => {
      // After a pause the timers come first: what waits in the socket must still see it.
      if (performance.now() - this.#tickedMs > PAUSE_MS) this.#hold();
      this.#tickedMs = performance.now();
    }, TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#held = undefined;
  }

  /** Does it now, or when it is clear that this one leads; or never. */
  pass(work: () => void): void {
    if (performance.now() - this.#tickedMs > PAUSE_MS) this.#hold();
    if (this.#held === undefined) work();
    else if (this.#held.length < MOST_HELD) this.#held.push(work);
  }

  #hold(): void {
    if (this.#held !== undefined) return;
    const held: (() => void)[] = [];
    this.#held = held;
    this.#tickedMs = performance.now();
    void this.#stillLeads()
      .catch(() => false)
      .then((leads) => {
        if (this.#held !== held) return;
        this.#held = undefined;
        if (leads) for (const work of held) work();
      });
  }
}
