import type { NatsConnection } from "@nats-io/transport-node";
import { getLastUpTo, getMessage } from "../nats/get-message.ts";
import { type MarksRecord, marksRecord, readRecord } from "../protocol/control-records.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { controlRecordSubject, SUBJECT } from "../protocol/subjects.ts";
import { positionOf, type StreamHistory } from "./read-history.ts";

// Sequences are each node's own, so a place in the log or a copy is searched for: indexes and times of ingestion grow
// along the log.

type Range = Pick<StreamHistory, "firstSeq" | "lastSeq">;

/** The sequence of the first message with that index or a higher one; one beyond the last when there is none. */
export function seqAtIndex(nc: NatsConnection, range: Range, index: number): Promise<number> {
  return firstSeqWhere(nc, range, {
    isComparable: (message) => positionOf(message) !== undefined,
    reached: (message) => (positionOf(message)?.index ?? 0) >= index,
  });
}

export interface MarksPlace {
  /** The last record of marks that does not fit; undefined: all do. All that stands before it has a lower index, in a copy also what was filled in. */
  readonly marks: { readonly seq: number; readonly index: number; readonly record: MarksRecord } | undefined;
  /** The sequence of the first that fits; one beyond the last when none does. */
  readonly nextSeq: number;
}

/** Finds where records of marks begin to fit, which those behind do too. */
export async function marksWhere(
  nc: NatsConnection,
  range: Range,
  fits: (record: MarksRecord, index: number, seq: number) => boolean | Promise<boolean>,
): Promise<MarksPlace> {
  const subject = controlRecordSubject("marks");
  const isComparable = (message: StoredMessage) =>
    positionOf(message) !== undefined && readRecord(marksRecord, message) !== undefined;
  const from = await firstSeqWhere(nc, range, {
    subject,
    isComparable,
    reached: (message) =>
      fits(readRecord(marksRecord, message) as MarksRecord, positionOf(message)?.index ?? 0, message.seq),
  });
  const next = await nextWhere(nc, from, range.lastSeq + 1, isComparable, subject);
  const [last] = await getLastUpTo(nc, STREAM.events, [subject], from - 1, { inboxPrefix: "_INBOX" });
  const record = last && readRecord(marksRecord, last);
  const index = positionOf(last)?.index;
  const marks = last && record && index ? { seq: last.seq, index, record } : undefined;
  return { marks, nextSeq: next?.seq ?? range.lastSeq + 1 };
}

/** The sequence of the first event that the log's writer stored at a time or later; one beyond the last: none. */
export function seqAtTime(nc: NatsConnection, range: Range, atMs: number): Promise<number> {
  return firstSeqWhere(nc, range, {
    isComparable: (message) => ingestedUs(message) !== undefined,
    reached: (message) => (ingestedUs(message) ?? 0) >= atMs * 1000,
  });
}

/** The first event from `seq` on and before `end`; control records have no time. */
export function nextEvent(
  nc: NatsConnection,
  seq: number,
  end = Number.POSITIVE_INFINITY,
): Promise<StoredMessage | undefined> {
  return nextWhere(nc, seq, end, ({ headerText }) => headerValue(headerText, HEADER.time) !== undefined);
}

/** When the log's writer stored an event, µs since the epoch; undefined: a control record. */
export function ingestedUs({ headerText }: StoredMessage): number | undefined {
  const time = headerValue(headerText, HEADER.time);
  return time === undefined ? undefined : Number(time.split(" ")[1]);
}

interface Search {
  readonly subject?: string;
  /** False for what tells nothing, as a copy's own record, which has no position. */
  readonly isComparable: (message: StoredMessage) => boolean;
  readonly reached: (message: StoredMessage) => boolean | Promise<boolean>;
}

async function firstSeqWhere(
  nc: NatsConnection,
  { firstSeq, lastSeq }: Range,
  { subject, isComparable, reached }: Search,
): Promise<number> {
  let low = Math.max(1, firstSeq);
  let high = lastSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await nextWhere(nc, middle, high, isComparable, subject);
    if (!found || (await reached(found))) high = middle;
    else low = found.seq + 1;
  }
  return low;
}

async function nextWhere(
  nc: NatsConnection,
  seq: number,
  end: number,
  fits: (message: StoredMessage) => boolean,
  subject: string = SUBJECT.allEvents,
): Promise<StoredMessage | undefined> {
  for (let from = seq; from < end; ) {
    const message = await getMessage(nc, STREAM.events, { seq: from, next_by_subj: subject });
    if (!message || message.seq >= end) return undefined;
    if (fits(message)) return message;
    from = message.seq + 1;
  }
  return undefined;
}
