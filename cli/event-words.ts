import { styleText } from "node:util";

/** A UUIDv7 begins with the time: only its end tells events apart. */
export const SHORT_ID = 8;
/** So much of an id's end may be written for the whole of it. */
const LEAST_ID_END = 6;

/** What came from elsewhere must not move the cursor, turn the direction of writing or end the line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]+/gu, " ");
}

export function shortId(id: string): string {
  return printable(id).slice(-SHORT_ID);
}

/** Whether an id is the one a person means: all of it, or its end as `tail` and `trace` show it. */
export function isMeant(id: string, written: string): boolean {
  return id === written || (written.length >= LEAST_ID_END && id.endsWith(written));
}

/** The time of day, with the date when it was not today; where the user is. */
export function timeWords(ms: number, nowMs: number): string {
  const date = new Date(ms);
  const two = (value: number, digits = 2) => String(value).padStart(digits, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
  if (date.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

const COLOURS = [
  "cyan",
  "green",
  "yellow",
  "magenta",
  "blue",
  "cyanBright",
  "greenBright",
  "magentaBright",
] as const;

/** A colour for each origin: the same in every run, and another for each as long as there are enough. */
export class OriginColours {
  readonly #chosen = new Map<string, (typeof COLOURS)[number]>();

  paint(origin: string, text: string): string {
    return styleText(this.#colourOf(origin), text);
  }

  #colourOf(origin: string): (typeof COLOURS)[number] {
    const known = this.#chosen.get(origin);
    if (known) return known;
    let sum = 0;
    for (const character of origin) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9973;
    const taken = new Set(this.#chosen.values());
    const inOrder = COLOURS.map((_, at) => COLOURS[(sum + at) % COLOURS.length] ?? "cyan");
    const colour = inOrder.find((one) => !taken.has(one)) ?? inOrder[0] ?? "cyan";
    this.#chosen.set(origin, colour);
    return colour;
  }
}
