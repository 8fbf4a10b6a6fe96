import { readRecord, reignRecord } from "../protocol/control-records.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { HEADER } from "../protocol/names.ts";
import { formatLogPosition, type LogPosition, parseLogPosition, sameReign } from "../protocol/reign.ts";
import { controlRecordSubject } from "../protocol/subjects.ts";

const REIGN = controlRecordSubject("reign");

export type Continuation =
  | { readonly kind: "continues"; readonly position: LogPosition }
  | { readonly kind: "repeated" }
  /** No sequencer wrote it; the log goes on behind it. */
  | { readonly kind: "foreign" }
  /** Not what follows: the log is another one, or something is missing. Match again. */
  | { readonly kind: "broken"; readonly reason: string };

/**
 * Does this message of the log continue a copy that stands at `after`? Checked for every message on the way. Following
 * everything, indexes grow by one; following some domains they only grow, but a reign never changes without its record,
 * which every follower gets, and which names the reign before.
 */
export function continuation(
  after: LogPosition | undefined,
  message: StoredMessage,
  everything: boolean,
): Continuation {
  const position = parseLogPosition(headerValue(message.headerText, HEADER.log));
  if (!position) return { kind: "foreign" };
  const index = after?.index ?? 0;
  if (position.index <= index) {
    const same = after && position.index === index && sameReign(position.reign, after.reign);
    if (same) return { kind: "repeated" };
    return { kind: "broken", reason: `index ${position.index} came after ${index}` };
  }
  if (everything && position.index !== index + 1) {
    return { kind: "broken", reason: `index ${position.index} came after ${index}: some are missing` };
  }
  if (after && !sameReign(position.reign, after.reign)) {
    if (message.subject !== REIGN)
      return { kind: "broken", reason: `the reign changed without its record at ${position.index}` };
    // The record names what it was written behind: in a log that was restored, the same index may be behind another.
    const previous = readRecord(reignRecord, message)?.previous;
    const follows = previous && sameReign(previous.reign, after.reign) && previous.index >= index;
    if (!follows || (everything && previous.index !== index)) {
      const behind = previous ? formatLogPosition(previous) : "nothing";
      return {
        kind: "broken",
        reason: `${position.index} was written behind ${behind}, not ${formatLogPosition(after)}`,
      };
    }
  }
  return { kind: "continues", position };
}
