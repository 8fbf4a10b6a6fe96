import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { SUBJECT } from "../protocol/subjects.ts";
import { positionOf, type StreamHistory } from "./read-history.ts";

// Sequences are each node's own, so a place in the log or a copy is searched for: indexes and times of ingestion grow
// along the log.

type Range = Pick<StreamHistory, "firstSeq" | "lastSeq">;

/** The sequence of the first message with that index or a higher one; one beyond the last when there is none. */
export function seqAtIndex(nc: NatsConnection, range: Range, index: number): Promise<number> {
  return firstSeqWhere(nc, range, (message) => {
    const position = positionOf(message);
    return position && position.index >= index;
  });
}

/** The sequence of the first event that the log's writer stored at a time or later; one beyond the last: none. */
export function seqAtTime(nc: NatsConnection, range: Range, atMs: number): Promise<number> {
  return firstSeqWhere(nc, range, ({ headerText }) => {
    const time = headerValue(headerText, HEADER.time);
    return time === undefined ? undefined : Number(time.split(" ")[1]) >= atMs * 1000;
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

/** `reached`: undefined for what can't be compared, as a copy's own record, which has no position. */
async function firstSeqWhere(
  nc: NatsConnection,
  { firstSeq, lastSeq }: Range,
  reached: (message: StoredMessage) => boolean | undefined,
): Promise<number> {
  let low = Math.max(1, firstSeq);
  let high = lastSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await nextWhere(nc, middle, high, (message) => reached(message) !== undefined);
    if (!found || reached(found)) high = middle;
    else low = found.seq + 1;
  }
  return low;
}

async function nextWhere(
  nc: NatsConnection,
  seq: number,
  end: number,
  fits: (message: StoredMessage) => boolean,
): Promise<StoredMessage | undefined> {
  for (let from = seq; from < end; ) {
    const message = await getMessage(nc, STREAM.events, { seq: from, next_by_subj: SUBJECT.allEvents });
    if (!message || message.seq >= end) return undefined;
    if (fits(message)) return message;
    from = message.seq + 1;
  }
  return undefined;
}
