import type { StoredMessage } from "./event.ts";
import { headerValue } from "./headers.ts";
import { eventId } from "./identity.ts";
import { HEADER } from "./names.ts";
import { type Origin, parseOrigin, printOf } from "./origin.ts";

/** What the log's headers say of an event: whose it is, and when and as what its origin stored it. */
export interface LoggedEvent {
  readonly origin: Origin;
  readonly id: string;
  /** When the origin's outbox stored it, µs since the epoch; of a commit when the hub received it. */
  readonly timeUs: number;
  /** When the sequencer took it, µs since the epoch by its clock. */
  readonly ingestedUs: number;
}

/** Reads them from a message of the log or a copy; undefined: a control record. */
export function loggedEvent(message: Pick<StoredMessage, "headerText">): LoggedEvent | undefined {
  const origin = parseOrigin(headerValue(message.headerText, HEADER.origin));
  if (!origin) return undefined;
  const [appended, ingested] = (headerValue(message.headerText, HEADER.time) ?? "").split(" ");
  const id = headerValue(message.headerText, HEADER.id) ?? "";
  return { origin, id, timeUs: Number(appended), ingestedUs: Number(ingested) };
}

/** The same of an event that was in its origin's outbox; undefined: a control record, or a strong commit. */
export function shippedInLog(message: Pick<StoredMessage, "headerText">): LoggedEvent | undefined {
  const logged = loggedEvent(message);
  return logged?.origin.lane === "e" ? logged : undefined;
}

/** The print that the event had in its origin's outbox. */
export function printOfLogged({ origin, id, timeUs }: LoggedEvent, subject: string): string {
  return printOf({ seq: origin.seq, timeUs, id, subject });
}

/** The same, read from a message of the log or a copy; undefined: a control record. */
export function printInLog(message: Pick<StoredMessage, "headerText" | "subject">): string | undefined {
  const logged = loggedEvent(message);
  return logged && printOfLogged(logged, message.subject);
}

/** The print of an event as its node's outbox has it. */
export function printInOutbox(
  node: string,
  { seq, timeUs, subject, headerText, body }: StoredMessage,
): string {
  return printOf({ seq, timeUs, subject, id: eventId({ node, seq }, timeUs, headerText, body) });
}
