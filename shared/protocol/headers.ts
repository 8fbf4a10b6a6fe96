import type { ShippedEvent } from "./event.ts";
import { HEADER, RESERVED_HEADERS } from "./names.ts";

// Headers travel as text lines `Name: value\r\n`, as NATS carries them, without the leading status line. Parsing them
// into maps and back costs more than all else that is done to an event, so they are only searched and cut.

const NATS_PREFIX = "nats-";

/** The value of a header, or undefined. Names are matched exactly, as nats-server does. */
export function headerValue(headerText: string, name: string): string | undefined {
  let at = headerText.startsWith(`${name}:`) ? 0 : -1;
  if (at < 0) {
    const found = headerText.indexOf(`\r\n${name}:`);
    if (found < 0) return undefined;
    at = found + 2;
  }
  const end = headerText.indexOf("\r\n", at);
  return headerText.slice(at + name.length + 1, end < 0 ? undefined : end).trim();
}

/**
 * What of a publisher's headers is carried on: all but `Nats-*` (a stream acts on them: a carried `Nats-Batch-Commit`
 * commits early, a repeated `Nats-Msg-Id` fails a whole batch) and the ones only the log may set.
 */
export function carriedHeaders(headerText: string): string {
  // Hardly ever is anything to be cut, and then nothing need be copied.
  if (isCarried(headerText)) return headerText;
  return headerText
    .split("\r\n")
    .filter((line) => line !== "" && isCarriedLine(line, 0))
    .map((line) => `${line}\r\n`)
    .join("");
}

/** Whether `carriedHeaders` would leave it as it is. */
export function isCarried(headerText: string): boolean {
  for (let at = 0; at < headerText.length; ) {
    const end = headerText.indexOf("\r\n", at);
    if (end <= at || !isCarriedLine(headerText, at)) return false;
    at = end + 2;
  }
  return true;
}

/** Looks at the line that begins there. */
function isCarriedLine(text: string, at: number): boolean {
  const colon = text.indexOf(":", at);
  if (colon <= at) return false;
  const end = text.indexOf("\r\n", at);
  if (end >= 0 && end < colon) return false;
  if (
    colon - at > NATS_PREFIX.length &&
    text.slice(at, at + NATS_PREFIX.length).toLowerCase() === NATS_PREFIX
  )
    return false;
  return !RESERVED_HEADERS.some((name) => colon - at === name.length && text.startsWith(name, at));
}

export function headerLine(name: string, value: string | number): string {
  return `${name}: ${value}\r\n`;
}

/** All headers in order, for printing. */
export function headerEntries(headerText: string): [string, string][] {
  const entries: [string, string][] = [];
  for (const line of headerText.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) entries.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return entries;
}

/** What a copy takes over of a log message's headers: everything but `Nats-*`. */
export function carriedLogHeaders(headerText: string): string {
  if (!/(^|\r\n)nats-/i.test(headerText)) return headerText;
  return headerText
    .split("\r\n")
    .filter((line) => line !== "" && !/^nats-/i.test(line))
    .map((line) => `${line}\r\n`)
    .join("");
}

/**
 * An event on its way up of which only seq, time, subject and id travel: all that its lane's mark needs, and that its
 * refusal names. Its headers and body stay in the outbox and are set aside there.
 */
export function withholdContent(event: ShippedEvent): ShippedEvent {
  const bytes = Buffer.byteLength(event.headerText) + event.body.byteLength;
  return { ...event, headerText: headerLine(HEADER.withheld, bytes), body: new Uint8Array() };
}

export function isWithheld(event: ShippedEvent): boolean {
  return headerValue(event.headerText, HEADER.withheld) !== undefined;
}
