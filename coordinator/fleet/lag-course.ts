/** How something that lags has moved. */
export interface LagCourse {
  /** ms since the epoch; undefined: it does not lag. */
  readonly sinceMs: number | undefined;
  /** How long it has not moved at all, ms. */
  readonly stillMs: number;
  /** Until it will have caught up at the pace at which the lag shrinks, seconds; undefined: it does not shrink. */
  readonly estimateS: number | undefined;
}

export const NO_LAG: LagCourse = { sinceMs: undefined, stillMs: 0, estimateS: undefined };

interface Seen {
  readonly at: number;
  readonly lag: number;
  readonly nowMs: number;
  readonly sinceMs: number;
  readonly movedMs: number;
  /** Events by which the lag shrinks in a second, smoothed; negative: it grows. */
  readonly perS: number | undefined;
}

/** A look a second: half of what it says is ten seconds old. */
const SMOOTHING_S = 14;

/** Follows one lag from look to look. */
export class LagFollowed {
  #seen: Seen | undefined;

  /** @param at how far it has come; `lag` what is left, events */
  look(at: number, lag: number, nowMs: number): LagCourse {
    const before = this.#seen;
    if (lag === 0) {
      this.#seen = undefined;
      return NO_LAG;
    }
    if (!before) {
      this.#seen = { at, lag, nowMs, sinceMs: nowMs, movedMs: nowMs, perS: undefined };
      return { sinceMs: nowMs, stillMs: 0, estimateS: undefined };
    }
    const passedS = Math.max(0.001, (nowMs - before.nowMs) / 1000);
    const now = (before.lag - lag) / passedS;
    const weight = 1 - Math.exp(-passedS / SMOOTHING_S);
    const perS = before.perS === undefined ? now : before.perS + weight * (now - before.perS);
    const movedMs = at === before.at ? before.movedMs : nowMs;
    this.#seen = { at, lag, nowMs, sinceMs: before.sinceMs, movedMs, perS };
    return {
      sinceMs: before.sinceMs,
      stillMs: nowMs - movedMs,
      estimateS: perS > 0 ? lag / perS : undefined,
    };
  }
}
