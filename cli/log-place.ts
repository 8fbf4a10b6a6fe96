import { usage } from "./failure.ts";

/** A place in the log as people name it. */
export type LogPlace =
  | { readonly kind: "start" }
  | { readonly kind: "end" }
  /** The log's own number: the same on every node. */
  | { readonly kind: "index"; readonly index: number }
  /** When the hub took it, ms since the epoch. */
  | { readonly kind: "time"; readonly atMs: number };

const SECONDS = { s: 1, m: 60, min: 60, h: 3_600, d: 86_400 } as const;
const WRITE =
  "write a number of the log as 1200, a time as 10:15, 2026-11-24T10:15 or 15m (ago), start or now";

/** Reads `--from` and `--to`. @throws CommandFailure one line that says what to write */
export function parseLogPlace(text: string, option: string, nowMs: number): LogPlace {
  const words = text.trim();
  if (words === "start") return { kind: "start" };
  if (words === "now" || words === "end") return { kind: "end" };
  if (/^\d+$/.test(words)) return { kind: "index", index: Number(words) };
  const ago = /^(\d+(?:\.\d+)?)(s|m|min|h|d)$/.exec(words);
  if (ago) {
    const seconds = Number(ago[1]) * SECONDS[ago[2] as keyof typeof SECONDS];
    return { kind: "time", atMs: nowMs - seconds * 1000 };
  }
  const atMs = clockTime(words, nowMs) ?? calendarTime(words);
  if (atMs === undefined || Number.isNaN(atMs))
    throw usage(`${option}: "${text}" is no place in the log; ${WRITE}`);
  return { kind: "time", atMs };
}

/** `10:15` or `10:15:30`, today where the user is. */
function clockTime(words: string, nowMs: number): number | undefined {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?$/.exec(words);
  if (!match) return undefined;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds >= 60) return Number.NaN;
  return new Date(nowMs).setHours(hours, minutes, 0, 0) + seconds * 1000;
}

/** A date, or a date and a time; without a zone where the user is. */
function calendarTime(words: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.test(words))
    return undefined;
  // JavaScript takes a date alone for one in UTC.
  return Date.parse(words.length === 10 ? `${words}T00:00` : words);
}
