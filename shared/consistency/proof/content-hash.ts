import { createHash } from "node:crypto";
import type { StoredMessage } from "../../protocol/event.ts";
import { carriedHeaders, carriedLogHeaders } from "../../protocol/headers.ts";
import { HEADER } from "../../protocol/names.ts";

export interface Halves {
  readonly high: number;
  readonly low: number;
}

type Content = Pick<StoredMessage, "subject" | "headerText" | "body">;

/** All of a message that the log and its copies have alike: subject, headers but JetStream's own, body. */
export function contentHash({ subject, headerText, body }: Content): Halves {
  return halvesOf(subject, carriedLogHeaders(headerText), body);
}

/**
 * All of an event that its outbox and the log have alike: subject, the publisher's headers, body. Without the clock, which
 * the sequencer stamps where it was missing.
 */
export function shippedContentHash({ subject, headerText, body }: Content): Halves {
  return halvesOf(subject, withoutClock(carriedHeaders(headerText)), body);
}

const CLOCK_LINE = `${HEADER.clock}:`;

function withoutClock(headerText: string): string {
  if (!headerText.includes(CLOCK_LINE)) return headerText;
  return headerText
    .split("\r\n")
    .filter((line) => line !== "" && !line.startsWith(CLOCK_LINE))
    .map((line) => `${line}\r\n`)
    .join("");
}

function halvesOf(subject: string, headerText: string, body: Uint8Array): Halves {
  const digest = createHash("sha256").update(`${subject}\n${headerText}\n`).update(body).digest();
  return { high: digest.readInt32LE(0), low: digest.readInt32LE(4) };
}
