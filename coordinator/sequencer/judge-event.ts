import type { ShippedEvent } from "../../shared/protocol/event.ts";
import { parseEventSubject } from "../../shared/protocol/subjects.ts";

/** What the log takes. */
export interface LogRules {
  /** Largest message the hub's server takes, bytes of headers and body. */
  readonly maxMessageBytes: number;
}

/** Room for the headers that the log adds. */
export const LOG_HEADERS_BYTES = 2048;

export type RefusalReason = "too-large" | "bad-subject" | "bad-headers";

/** Why the log would not take this event; undefined: it does. What is refused stays at its origin, set aside. */
export function judgeEvent(event: ShippedEvent, rules: LogRules): RefusalReason | undefined {
  if (event.headerText.length + event.body.byteLength + LOG_HEADERS_BYTES > rules.maxMessageBytes)
    return "too-large";
  if (parseEventSubject(event.subject) === undefined) return "bad-subject";
  if (/[\r\n]/.test(event.id)) return "bad-headers";
  return undefined;
}
