import { type HybridTime, MAX_COUNTER } from "./hybrid-clock.ts";
import type { Dot } from "./version-vector.ts";

/**
 * An event's place in the total order by time that every node comes to: by effective time, ties by origin. An event
 * whose writer had seen another one stands behind it.
 */
export interface Stamp extends Dot {
  /** Effective time, ms since the epoch. */
  readonly ms: number;
  /** Order within that ms: the clock's counter, or of a bounded clock what the log's index makes of it. */
  readonly order: number;
}

/** How late an event may come and still count as of its own time: 90 days. */
export const MOST_LATE_MS = 90 * 24 * 3600 * 1000;

/** Behind every counter there is: events whose clock was ahead, in the log's order. */
const AHEAD = 2 ** 32;
/** Before every counter: events that came too late, in the log's order. */
const LATE = -(2 ** 52);

/**
 * The time that counts. A clock that is ahead of the sequencer's counts as the moment the event was taken: it neither wins
 * for ever nor makes nodes differ. What comes later than `MOST_LATE_MS` counts as from then: so nothing older than that can
 * come any more, and what was deleted before may be forgotten. Within the ms of a bound the log's order decides, which is
 * an order of cause and effect, as a writer sees other nodes' events through the log alone.
 * @param ingestMs when the sequencer took it, ms; never goes back within a log
 * @param index the log's
 */
export function effectiveTime(
  clock: HybridTime,
  ingestMs: number,
  index: number,
): { readonly ms: number; readonly order: number } {
  if (clock.ms > ingestMs) return { ms: ingestMs, order: AHEAD + index };
  if (clock.ms < ingestMs - MOST_LATE_MS) return { ms: ingestMs - MOST_LATE_MS, order: LATE + index };
  return { ms: clock.ms, order: clock.counter };
}

/** Of a strong commit: behind everything that the log has before it, whatever its writer's clock says. */
export function committedTime(
  ingestMs: number,
  index: number,
): { readonly ms: number; readonly order: number } {
  return { ms: ingestMs, order: AHEAD + index };
}

/** Whether an event's clock counted as it was (null), or was ahead of the sequencer's, or told of a time too long ago. */
export function boundOf({ order }: Pick<Stamp, "order">): "ahead" | "late" | null {
  if (order >= AHEAD) return "ahead";
  return order < 0 ? "late" : null;
}

/** Negative: `a` is earlier. 0 only for one and the same event. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.ms !== b.ms) return a.ms - b.ms;
  if (a.order !== b.order) return a.order - b.order;
  if (a.lane !== b.lane) return a.lane < b.lane ? -1 : 1;
  return a.seq - b.seq;
}

/** What a clock is to be shown of an event that was read, so that what it gives next is later by stamp too. */
export function timeOfStamp({ ms, order }: Stamp): HybridTime {
  if (order > MAX_COUNTER) return { ms: ms + 1, counter: 0 };
  return { ms, counter: Math.max(0, order) };
}
