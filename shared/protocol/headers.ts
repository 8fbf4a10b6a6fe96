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
  if (headerText === "") return "";
  let kept = "";
  for (const line of headerText.split("\r\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    if (name.length > 5 && name.slice(0, 5).toLowerCase() === NATS_PREFIX) continue;
    if (RESERVED_HEADERS.includes(name)) continue;
    kept += `${line}\r\n`;
  }
  return kept;
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
