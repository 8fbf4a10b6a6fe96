import { type Contracts, contractFor, NO_CONTRACTS } from "../../shared/consistency/contract/contract.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";
import { isCarried, isWithheld } from "../../shared/protocol/headers.ts";
import { MAX_ID_LENGTH } from "../../shared/protocol/identity.ts";
import { domainOf, isEventSubject } from "../../shared/protocol/subjects.ts";
import { breaksContract, type Way } from "./judge-contract.ts";

/** What the log takes. */
export interface LogRules {
  /** Largest message the hub's server takes, bytes of headers and body. */
  readonly maxMessageBytes: number;
  /** How the domains replicate by now. Left out: as usual. */
  readonly contracts?: () => Contracts;
}

/** Room for the headers that the log adds. */
export const LOG_HEADERS_BYTES = 2048;

/** A protocol line of nats-server ends at 4096 bytes, reply subject and numbers included; it closes the connection. */
const MAX_SUBJECT_BYTES = 2048;

export type RefusalReason = "too-large" | "bad-subject" | "bad-headers" | "wrong-contract";

/**
 * Why the log would not take this event; undefined: it does. What is refused stays at its origin, set aside. Strict,
 * because an event that the hub's server then refuses comes back for ever and holds up everybody else's with it.
 */
export function judgeEvent(
  event: ShippedEvent,
  rules: LogRules,
  way: Way = "outbox",
): RefusalReason | undefined {
  if (isWithheld(event)) return "too-large";
  if (isTooLarge(event, rules.maxMessageBytes - LOG_HEADERS_BYTES)) return "too-large";
  if (isTooLongSubject(event.subject) || !isEventSubject(event.subject)) return "bad-subject";
  if (event.id === "" || event.id.length > MAX_ID_LENGTH || /[\r\n]/.test(event.id)) return "bad-headers";
  // An agent leaves out what a stream would act on. One that doesn't is not to be trusted with the log's headers.
  if (!isCarried(event.headerText)) return "bad-headers";
  const contract = contractFor(rules.contracts?.() ?? NO_CONTRACTS, domainOf(event.subject));
  if (breaksContract(event, contract, way)) return "wrong-contract";
  return undefined;
}

function isTooLarge(event: ShippedEvent, maxBytes: number): boolean {
  const { headerText, body } = event;
  // No text takes more than three bytes a character: the exact size matters only near the bound.
  if (headerText.length * 3 + body.byteLength <= maxBytes) return false;
  return Buffer.byteLength(headerText) + body.byteLength > maxBytes;
}

function isTooLongSubject(subject: string): boolean {
  return subject.length * 3 > MAX_SUBJECT_BYTES && Buffer.byteLength(subject) > MAX_SUBJECT_BYTES;
}
