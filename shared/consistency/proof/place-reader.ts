import { headerValue } from "../../protocol/headers.ts";
import { HEADER } from "../../protocol/names.ts";
import { parseOrigin } from "../../protocol/origin.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { EVENTS_PREFIX, LOG_PREFIX } from "../../protocol/subjects.ts";
import { PlaceHash } from "./place-hash.ts";

/** Instead of a domain: the log's control records. No domain begins with `_`. */
export const CONTROL_DOMAIN = "_cim";

const LOG_LINE = `${HEADER.log}: `;
const ORIGIN_LINE = `${HEADER.origin}: `;
const ID_LINE = `${HEADER.id}: `;
const [CR, DOT, SPACE, ZERO, NINE, LANE_E] = [13, 46, 32, 48, 57, 101];
/** Domains and lanes come again: a text that was seen is compared in place, and not cut out anew. */
const MOST_SEEN = 8;

/**
 * Reads where a message of the log or a copy stands and what it is, as stored or as about to be written. Every event of the
 * log passes here, on the hub and on each copy: it makes no object, and what was read stands here until the next.
 */
export class PlaceReader {
  index = 0;
  domain = "";
  /** Of an event that was in an outbox: `<node> <incarnation>`; else "". */
  lane = "";
  /** Its sequence there. */
  seq = 0;
  readonly hash = new PlaceHash();
  readonly #domains = new Seen();
  readonly #lanes = new Seen();
  #text = "";
  #idFrom = 0;
  #idTo = 0;

  /** The event's id; of a control record its subject, as it has none. */
  get id(): string {
    return this.#text.slice(this.#idFrom, this.#idTo);
  }

  /** False: it has no place in the log. */
  read(subject: string, headerText: string): boolean {
    if (!this.#readPlace(headerText) || !this.#readDomain(subject)) return false;
    if (this.domain === CONTROL_DOMAIN) return this.#readRecord(subject, headerText);
    if (!this.#readInOrder(headerText) && !this.#readAnyOrder(headerText)) return false;
    this.hash.take(this.#text, this.#idFrom, this.#idTo);
    return true;
  }

  #after = 0;

  #readPlace(text: string): boolean {
    let at = 0;
    if (!text.startsWith(LOG_LINE)) {
      at = text.indexOf(`\n${LOG_LINE}`) + 1;
      if (at === 0) return false;
    }
    let index = -1;
    let i = at + LOG_LINE.length;
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === CR) break;
      if (code === DOT) index = 0;
      else if (index >= 0) index = code >= ZERO && code <= NINE ? index * 10 + code - ZERO : Number.NaN;
    }
    this.index = index;
    this.#after = i + 2;
    return index >= 1 && Number.isSafeInteger(index);
  }

  #readDomain(subject: string): boolean {
    const prefix = subject.startsWith(EVENTS_PREFIX) ? EVENTS_PREFIX : LOG_PREFIX;
    if (prefix === LOG_PREFIX && !subject.startsWith(LOG_PREFIX)) return false;
    const end = subject.indexOf(".", prefix.length);
    this.domain = this.#domains.cut(subject, prefix.length, end < 0 ? subject.length : end);
    return true;
  }

  #readRecord(subject: string, headerText: string): boolean {
    this.lane = "";
    this.seq = 0;
    this.#text = subject.startsWith(LOG_PREFIX) ? EVENTS_PREFIX + subject.slice(LOG_PREFIX.length) : subject;
    this.#idFrom = 0;
    this.#idTo = this.#text.length;
    this.hash.take(this.#text, 0, this.#idTo);
    return parseLogPosition(headerValue(headerText, HEADER.log)) !== undefined;
  }

  /** As the log's writer puts its lines: one behind the other. */
  #readInOrder(text: string): boolean {
    if (!text.startsWith(ORIGIN_LINE, this.#after)) return false;
    const from = this.#after + ORIGIN_LINE.length;
    const end = text.indexOf("\r", from);
    if (end < 0 || !text.startsWith(ID_LINE, end + 2)) return false;
    let seqAt = end;
    while (seqAt > from && text.charCodeAt(seqAt - 1) !== SPACE) seqAt--;
    const idFrom = end + 2 + ID_LINE.length;
    const idTo = text.indexOf("\r", idFrom);
    if (idTo < 0) return false;
    const isOutboxs = text.charCodeAt(seqAt - 2) === LANE_E && text.charCodeAt(seqAt - 3) === SPACE;
    this.lane = isOutboxs ? this.#lanes.cut(text, from, seqAt - 3) : "";
    this.seq = isOutboxs ? digits(text, seqAt, end) : 0;
    this.#text = text;
    this.#idFrom = idFrom;
    this.#idTo = idTo;
    return true;
  }

  #readAnyOrder(text: string): boolean {
    const origin = parseOrigin(headerValue(text, HEADER.origin));
    const id = headerValue(text, HEADER.id);
    if (!origin || id === undefined) return false;
    this.lane = origin.lane === "e" ? `${origin.node} ${origin.incarnation}` : "";
    this.seq = origin.lane === "e" ? origin.seq : 0;
    this.#text = id;
    this.#idFrom = 0;
    this.#idTo = id.length;
    return true;
  }
}

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + text.charCodeAt(i) - ZERO;
  return value;
}

/** Texts that were cut out last. */
class Seen {
  readonly #texts: string[] = [];
  #next = 0;

  cut(text: string, from: number, to: number): string {
    for (const one of this.#texts) if (one.length === to - from && text.startsWith(one, from)) return one;
    const cut = text.slice(from, to);
    this.#texts[this.#next++ % MOST_SEEN] = cut;
    return cut;
  }
}
