/** As many falls within the window are no accident. */
const FALLS = 4;
const WINDOW_INTERVALS = 240;
const FIRST_HOLD_INTERVALS = 8;
const LONGEST_HOLD_INTERVALS = 120;

/**
 * Holds a node back that comes and goes: after the fourth fall within 240 heartbeat intervals (lan: a minute) it must
 * have been well for 8 intervals (2 s) before it is called up again, after each further fall for twice as long, at most
 * 120 (30 s). What takes it down is never held back.
 */
export class FlapDamping {
  #fallsMs: number[] = [];
  #wellSinceMs: number | undefined;

  /** It is no longer up. */
  fell(atMs: number, intervalMs: number): void {
    const fromMs = atMs - WINDOW_INTERVALS * intervalMs;
    this.#fallsMs = [...this.#fallsMs.filter((ms) => ms >= fromMs), atMs].slice(-2 * FALLS);
    this.#wellSinceMs = undefined;
  }

  /** It would be up: for how long it is held back still, ms; 0: not at all. */
  heldBackMs(atMs: number, intervalMs: number): number {
    this.#wellSinceMs ??= atMs;
    const falls = this.#recentFalls(atMs, intervalMs);
    if (falls < FALLS) return 0;
    const intervals = Math.min(FIRST_HOLD_INTERVALS * 2 ** (falls - FALLS), LONGEST_HOLD_INTERVALS);
    return Math.max(0, this.#wellSinceMs + intervals * intervalMs - atMs);
  }

  /** It would not be up. */
  unwell(): void {
    this.#wellSinceMs = undefined;
  }

  #recentFalls(atMs: number, intervalMs: number): number {
    const fromMs = atMs - WINDOW_INTERVALS * intervalMs;
    return this.#fallsMs.filter((ms) => ms >= fromMs).length;
  }
}
