import { HEARTBEAT_INTERVAL_MS } from "../../shared/config/replication-sections.ts";

/** When a silence begins to mean something. All follows from how often a node tells that it lives. */
export interface HealthTiming {
  /** Silence after which a node is suspected and asked, ms. */
  readonly suspectAfterMs: number;
  /** Silence after which there is a verdict, ms: what was asked meanwhile has had the time to answer. */
  readonly silentAfterMs: number;
  /** Time between two questions to a suspected node, ms. */
  readonly askEveryMs: number;
}

/** Two heartbeats may be lost in a row, and the third be half an interval late. */
const SUSPECT_INTERVALS = 2.5;
/** Five heartbeats in a row, and every answer to what was asked since the third. */
const SILENT_INTERVALS = 6;
/** A link that hesitates as long is judged as if it hesitated no longer: a verdict must come at last. */
const MOST_INTERVALS = 20;
/** Who beats as often as a LAN's preset is to be missed within two seconds, however the link hesitated before. */
const MOST_INTERVALS_LAN = 7;
/** How far beyond the mean an arrival may be; of a normal distribution one in 30,000 is. RFC 6298 takes the same. */
const DEVIATIONS = 4;
/** Questions while there is time for them: three to four before the verdict, each answer would be one. */
const ASKS_PER_INTERVAL = 2;
const LEAST_ASK_EVERY_MS = 100;
/** Round trips that an answer is waited for. */
const ROUND_TRIPS = 3;

/** The nodes are looked at so often while one of them is late, ms: verdicts come at most so much later than they could. */
const TURN_MS = 100;
/** And at least so often: what a link's closing leads to is not waited for longer. */
const LONGEST_TURN_MS = 250;

/** Time until all nodes are to be looked at again, ms. @param restMs for how long none of them can be late; 0: one is */
export const nextTurnMs = (restMs: number): number => Math.min(Math.max(TURN_MS, restMs), LONGEST_TURN_MS);

/** Silence after which there is a verdict at the latest, ms; what is shown is later by the turn in which it is found. */
export const longestSilenceMs = (intervalMs: number): number =>
  intervalMs * (intervalMs <= HEARTBEAT_INTERVAL_MS.lan ? MOST_INTERVALS_LAN : MOST_INTERVALS);

/** What is known of the way to a node. */
export interface LinkPace {
  readonly intervalMs: number;
  /** Of the time between two heartbeats as they arrive; undefined before there are enough of them. */
  readonly meanMs: number | undefined;
  readonly deviationMs: number | undefined;
  readonly rttMs: number | null;
}

/**
 * On a steady link, by preset of the heartbeat:
 *
 * | preset    | heartbeat | suspected = 2.5 x | verdict = 6 x | asked every = 1/2 x |
 * | --------- | --------- | ----------------- | ------------- | ------------------- |
 * | lan       | 250 ms    | 625 ms            | 1.5 s         | 125 ms              |
 * | wan       | 1 s       | 2.5 s             | 6 s           | 500 ms              |
 * | satellite | 10 s      | 25 s              | 60 s          | 5 s                 |
 *
 * On one that hesitates: suspected after mean + 4 x deviation, verdict after twice that; never later than 20 intervals, on a
 * LAN 7: there the verdict comes 1.75 s after the last word at the latest, and is shown within 0.1 s of that.
 */
export function healthTiming({ intervalMs, meanMs, deviationMs, rttMs }: LinkPace): HealthTiming {
  const mostMs = longestSilenceMs(intervalMs);
  const adaptedMs = meanMs === undefined || deviationMs === undefined ? 0 : meanMs + DEVIATIONS * deviationMs;
  const suspectAfterMs = Math.min(Math.max(SUSPECT_INTERVALS * intervalMs, adaptedMs), mostMs / 2);
  const answerMs = suspectAfterMs + ROUND_TRIPS * (rttMs ?? 0);
  const silentAfterMs = Math.min(
    Math.max(SILENT_INTERVALS * intervalMs, 2 * suspectAfterMs, answerMs),
    mostMs,
  );
  const askEveryMs = Math.max(LEAST_ASK_EVERY_MS, intervalMs / ASKS_PER_INTERVAL);
  return { suspectAfterMs, silentAfterMs, askEveryMs };
}
