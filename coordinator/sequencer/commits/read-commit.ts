import {
  type CommitRefused,
  commitAggregate,
  type parseCommit,
  parseVersion,
  refuseCommit,
} from "../../../shared/protocol/commit.ts";
import type { ShippedEvent } from "../../../shared/protocol/event.ts";
import { carriedHeaders, headerEntries, headerValue } from "../../../shared/protocol/headers.ts";
import { MAX_ID_LENGTH } from "../../../shared/protocol/identity.ts";
import { HEADER, STREAM } from "../../../shared/protocol/names.ts";
import { isEventSubject } from "../../../shared/protocol/subjects.ts";

/** An event that a program wants in the log, as the sequencer judges it. */
export interface Commit {
  /** Of `seq` 0: it gets its number from the log. */
  readonly event: ShippedEvent;
  /** All events of its aggregate, as a filter. */
  readonly aggregate: string;
  /** The version that the aggregate must be at; undefined: any. */
  readonly expected: number | undefined;
}

/** Asks for no more than what is so: the hub's log stores it. */
const EXPECTED_STREAM = "Nats-Expected-Stream";

/** What streams act on and a log does not do; a program that asks for it must not be told that it was done. */
const NOT_DONE = /^nats-(expected-|batch-|ttl$|rollup$|incr$|schedule|marker-reason$)/i;

/**
 * Reads a request to commit. Strict, by name: what a stream would have judged and the sequencer does not is refused.
 * @param receivedUs by the hub's clock, µs since the epoch
 */
export function readCommit(
  { subject }: Pick<NonNullable<ReturnType<typeof parseCommit>>, "subject">,
  headerText: string,
  body: Uint8Array,
  receivedUs: number,
): Commit | CommitRefused {
  const id = headerValue(headerText, HEADER.msgId) ?? "";
  for (const [name, value] of headerEntries(headerText)) {
    if (name === EXPECTED_STREAM && value === STREAM.events) continue;
    if (/^nats-expected-/i.test(name))
      return refuseCommit(
        "event",
        `${name} means a sequence of one node's stream and is not judged in a strong domain; write ${HEADER.expectedVersion}: the version that the last commit or event had, or none`,
      );
    if (NOT_DONE.test(name))
      return refuseCommit("event", `${name} is not offered in a strong domain; send each event by itself`);
  }
  if (!isEventSubject(subject))
    return refuseCommit(
      "event",
      `${subject} is no event's subject; write cim.events.<domain>.<aggregate>.<Type>`,
    );
  if (id === "" || id.length > MAX_ID_LENGTH)
    return refuseCommit(
      "event",
      `an event of a strong domain needs an id, so that it can be sent again; write ${HEADER.msgId}: 1 to ${MAX_ID_LENGTH} characters`,
    );
  const wanted = headerValue(headerText, HEADER.expectedVersion);
  const expected = wanted === undefined ? undefined : parseVersion(wanted);
  if (wanted !== undefined && expected === undefined)
    return refuseCommit(
      "event",
      `${HEADER.expectedVersion}: ${wanted} is no version; write what the last commit or event had, or none`,
    );
  const carried = carriedHeaders(withoutExpectation(headerText));
  return {
    event: { seq: 0, timeUs: receivedUs, subject, id, headerText: carried, body },
    aggregate: commitAggregate(subject),
    expected,
  };
}

function withoutExpectation(headerText: string): string {
  if (!headerText.includes(HEADER.expectedVersion)) return headerText;
  return headerText
    .split("\r\n")
    .filter((line) => line !== "" && !line.startsWith(`${HEADER.expectedVersion}:`))
    .map((line) => `${line}\r\n`)
    .join("");
}
