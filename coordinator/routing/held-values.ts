// Hysteresis: what goes up and down by itself is held until it differs by enough, or a leaf would be chosen and passed over
// in turns while nothing has happened. Pure.

/** A round trip that differs by less than this share from the one that is held is the same. */
const SAME_SHARE = 0.25;
/** And so is one that differs by less than this: below it lies the jitter of a busy machine. */
const SAME_MS = 1;

/** The round trip to go by, ms: the one held before, until it differs by a quarter. */
export function heldRoundTrip(held: number | null, measured: number | null): number | null {
  if (held === null || measured === null) return measured;
  return Math.abs(measured - held) <= Math.max(SAME_MS, held * SAME_SHARE) ? held : measured;
}

/**
 * The lag to go by, seconds: whole steps, so that each event that arrives is no change; and a leaf that was passed over for
 * its lag comes back when it is at half the bound, not at the bound itself, where it would be passed over again.
 */
export function heldLag(held: number | null, measured: number | null, bound: number | null): number | null {
  if (measured === null) return null;
  const lag = Math.floor(measured);
  if (bound === null || held === null || held <= bound) return bound !== null && lag <= bound ? 0 : lag;
  return lag <= bound / 2 ? 0 : held;
}
