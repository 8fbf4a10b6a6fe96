import { styleText } from "node:util";
import type { ReadEvent } from "../shared/protocol/cloud-event.ts";
import { identityOf } from "../shared/protocol/identity.ts";
import { OriginColours, printable, SHORT_ID, shortId, timeWords } from "./event-words.ts";
import { fitWidth, padWidth, textWidth } from "./text-width.ts";

const HEADING = ["TIME", "ORIGIN", "DOMAIN", "AGGREGATE", "TYPE", "ID", "CHAIN"] as const;
/** Columns that grow with what passes, up to a bound: lines come one by one, so nobody knows the widest. */
const START_WIDTHS = [12, 6, 6, 9, 10, SHORT_ID, SHORT_ID];
const MAX_WIDTHS = [23, 16, 16, 24, 28, SHORT_ID, SHORT_ID];
/** A UTF-8 character has at most so many bytes. */
const MOST_BYTES = 4;

/** Writes events as lines of aligned columns: time, origin, domain, aggregate, type, id, correlation, data. */
export class EventLines {
  readonly #widths = [...START_WIDTHS];
  readonly #colours = new OriginColours();
  /** The terminal's width, to which data is shortened; undefined: whole. */
  columns: number | undefined;

  constructor(columns: number | undefined) {
    this.columns = columns;
  }

  /** For terminals: what the columns are. */
  heading(): string {
    return styleText(
      "dim",
      [...HEADING.map((word, at) => word.padEnd(this.#widths[at] ?? 0)), "DATA"].join("  "),
    );
  }

  /** An event that follows from none has `-` for its correlation: it is its own. */
  line(event: ReadEvent, nowMs: number): string {
    const { origin, domain, aggregate = "-", type, id } = event;
    const { correlationId } = identityOf(event.message.headerText, id);
    const correlation = correlationId === id ? "-" : shortId(correlationId);
    const words = [
      timeWords(event.appendedUs / 1000, nowMs),
      origin,
      domain,
      aggregate,
      type,
      shortId(id),
      correlation,
    ];
    const cells = words.map((word, at) => this.#cell(printable(word), at));
    const before = cells.reduce((sum, cell) => sum + textWidth(cell) + 2, 0);
    const data = dataWords(event.message.body, this.columns && Math.max(0, this.columns - before));
    return cells
      .map((cell, at) => this.#paint(cell, at, origin))
      .concat(data)
      .join("  ")
      .trimEnd();
  }

  #cell(text: string, at: number): string {
    const width = Math.max(this.#widths[at] ?? 0, Math.min(textWidth(text), MAX_WIDTHS[at] ?? 0));
    this.#widths[at] = width;
    return padWidth(text, width);
  }

  #paint(cell: string, at: number, origin: string): string {
    if (at === 1) return this.#colours.paint(origin, cell);
    return at === 0 || at > 4 ? styleText("dim", cell) : cell;
  }
}

/** @param columns how many there are for it; undefined: all of it */
function dataWords(body: Uint8Array, columns: number | undefined): string {
  if (body.byteLength === 0) return "";
  // Of megabytes, only what may be seen is looked at.
  const start = columns === undefined ? body : body.subarray(0, (columns + 1) * MOST_BYTES);
  try {
    const text = printable(
      new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: start !== body }),
    );
    return columns === undefined ? text : fitWidth(text, columns);
  } catch {
    return `${body.byteLength} bytes`;
  }
}
