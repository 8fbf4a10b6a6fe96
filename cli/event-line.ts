import { styleText } from "node:util";
import type { ReadEvent } from "../shared/protocol/cloud-event.ts";

/** Columns that grow with what passes, up to a bound: lines come one by one, so nobody knows the widest. */
const START_WIDTHS = [12, 6, 6, 6, 10];
const MAX_WIDTHS = [23, 16, 16, 24, 28];
const SHORT_ID = 8;

/** Writes events as lines of aligned columns: time, origin, domain, aggregate, type, id, data. */
export class EventLines {
  readonly #widths = [...START_WIDTHS];
  readonly #columns: number | undefined;

  /** @param columns the terminal's width, to which data is shortened; undefined: whole */
  constructor(columns: number | undefined) {
    this.#columns = columns;
  }

  line(event: ReadEvent, nowMs: number): string {
    const { origin, domain, aggregate = "-", type, id } = event;
    const cells = [timeWords(event.appendedUs / 1000, nowMs), origin, domain, aggregate, type].map(
      (cell, at) => {
        const width = Math.max(this.#widths[at] ?? 0, Math.min(cell.length, MAX_WIDTHS[at] ?? 0));
        this.#widths[at] = width;
        return printable(cell).padEnd(width);
      },
    );
    // A UUIDv7 begins with the time: only its end tells events apart.
    const shortId = printable(id).slice(-SHORT_ID).padEnd(SHORT_ID);
    const before = [...cells, shortId].join("  ").length + 2;
    const data = shorten(dataWords(event.message.body), this.#columns && this.#columns - before);
    const [time, from, ...what] = cells as [string, string, ...string[]];
    return [styleText("dim", time), styleText("cyan", from), ...what, styleText("dim", shortId), data]
      .join("  ")
      .trimEnd();
  }
}

/** The time of day, with the date when it was not today; where the user is. */
export function timeWords(ms: number, nowMs: number): string {
  const date = new Date(ms);
  const two = (value: number, digits = 2) => String(value).padStart(digits, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
  if (date.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

function dataWords(body: Uint8Array): string {
  if (body.byteLength === 0) return "";
  try {
    return printable(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return `${body.byteLength} bytes`;
  }
}

/** What came from elsewhere must not move the cursor or end the line. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}

function shorten(text: string, most: number | undefined): string {
  if (most === undefined || text.length <= most) return text;
  return most < 2 ? "" : `${text.slice(0, most - 1)}…`;
}
