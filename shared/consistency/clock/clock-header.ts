import { isNodeName } from "../../protocol/names.ts";
import { type HybridTime, MAX_COUNTER, MAX_MS } from "./hybrid-clock.ts";
import type { VersionVector } from "./version-vector.ts";

/**
 * What `Cim-Clock` says: `<ms>.<counter>[ <lane>:<sequence>]…`. With at least one lane it says what the writer had seen of
 * the aggregate; `.:0` stands for "nothing of it". Without a lane it says nothing of that.
 */
export interface Clock {
  readonly time: HybridTime;
  readonly seen?: VersionVector;
}

/** In the header the lane of the event itself: its writer can't know the number of its node's incarnation. */
export const OWN_LANE = ".";

/** Of a header, characters. A longer one is not read: what an event carries has to be bounded. */
export const MAX_CLOCK_LENGTH = 65_536;

export function formatClock({ time, seen }: Clock): string {
  const text = `${time.ms}.${time.counter}`;
  if (seen === undefined) return text;
  let lanes = "";
  for (const [lane, seq] of seen) if (seq > 0) lanes += ` ${lane}:${seq}`;
  return text + (lanes || ` ${OWN_LANE}:0`);
}

/** Reads the header; undefined: it is none, and the event counts as one without. */
export function parseClock(text: string | undefined): Clock | undefined {
  if (text === undefined || text.length > MAX_CLOCK_LENGTH) return undefined;
  const end = text.indexOf(" ");
  const time = parseTime(end < 0 ? text : text.slice(0, end));
  if (!time) return undefined;
  if (end < 0) return { time };
  const seen = new Map<string, number>();
  for (const part of text.slice(end + 1).split(" ")) {
    const colon = part.indexOf(":");
    const lane = part.slice(0, colon);
    const seq = natural(part.slice(colon + 1), Number.MAX_SAFE_INTEGER);
    if (colon < 1 || seq === undefined || seen.has(lane) || !isLane(lane)) return undefined;
    seen.set(lane, seq);
  }
  return { time, seen };
}

function parseTime(text: string): HybridTime | undefined {
  const dot = text.indexOf(".");
  if (dot < 1) return undefined;
  const ms = natural(text.slice(0, dot), MAX_MS);
  const counter = natural(text.slice(dot + 1), MAX_COUNTER);
  return ms === undefined || counter === undefined ? undefined : { ms, counter };
}

/** One spelling for one number: no sign, no zeros in front. By hand, as it is read for every lane of every event. */
function natural(text: string, most: number): number | undefined {
  if (text.length === 0 || text.length > 16 || (text.length > 1 && text.startsWith("0"))) return undefined;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value <= most ? value : undefined;
}

function isLane(lane: string): boolean {
  if (lane === OWN_LANE) return true;
  const slash = lane.indexOf("/");
  const kind = lane.slice(slash + 1);
  return slash > 0 && isNodeName(lane.slice(0, slash)) && (kind === "c" || /^[1-9]\d{0,14}$/.test(kind));
}
