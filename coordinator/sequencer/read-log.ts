import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { parseOrigin, printOf } from "../../shared/protocol/origin.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";
import { emptyLogState, foldLogMessage, type LogState, LogUnreadable } from "./log-state.ts";

/** A read that makes no progress for so long has lost its server. */
const READ_SILENCE_MS = 5000;

/** The state of the log, read from its newest marks record on. @throws LogUnreadable, ReaderBroken, or the client's error */
export async function readLog(nc: NatsConnection, inboxPrefix: string): Promise<LogState> {
  const stream = await streamState(nc, STREAM.events);
  const state = emptyLogState();
  if (stream.messages === 0) {
    // Deleting a log's messages leaves its numbering: a log that was emptied by hand is not a new one.
    if (stream.last_seq > 0)
      throw new LogUnreadable(`the log was emptied; its stream was at ${stream.last_seq}`);
    return state;
  }
  const marks = await getMessage(nc, STREAM.events, { last_by_subj: controlRecordSubject("marks") });
  if (!marks && stream.first_seq > 1)
    throw new LogUnreadable(`the log begins at ${stream.first_seq} and has no marks record`);
  const reign = await getMessage(nc, STREAM.events, { last_by_subj: controlRecordSubject("reign") });
  state.reignSeq = reign?.seq ?? 0;
  const startSeq = marks?.seq ?? stream.first_seq;
  await eachMessage(nc, inboxPrefix, { startSeq, lastSeq: stream.last_seq }, (message) =>
    foldLogMessage(state, message),
  );
  return state;
}

/**
 * The prints of some of a node's events, as the log has them; null: it has no such event. Reads the whole log's headers:
 * asked only when an outbox is not the one it was.
 */
export async function readPrints(
  nc: NatsConnection,
  inboxPrefix: string,
  node: string,
  seqs: readonly number[],
): Promise<(string | null)[]> {
  const stream = await streamState(nc, STREAM.events);
  const wanted = new Map<number, string | null>(seqs.map((seq) => [seq, null]));
  if (stream.messages > 0) {
    const range = { startSeq: stream.first_seq, lastSeq: stream.last_seq, headersOnly: true };
    await eachMessage(nc, inboxPrefix, range, (message) => {
      const origin = parseOrigin(headerValue(message.headerText, HEADER.origin));
      if (origin?.node !== node || !wanted.has(origin.seq)) return;
      const timeUs = Number(headerValue(message.headerText, HEADER.time)?.split(" ")[0]);
      const id = headerValue(message.headerText, HEADER.id) ?? "";
      // A later incarnation's event of the same number replaces an earlier one's.
      wanted.set(origin.seq, printOf({ seq: origin.seq, timeUs, id, subject: message.subject }));
    });
  }
  return seqs.map((seq) => wanted.get(seq) ?? null);
}

interface Range {
  readonly startSeq: number;
  readonly lastSeq: number;
  readonly headersOnly?: boolean;
}

async function eachMessage(
  nc: NatsConnection,
  inboxPrefix: string,
  range: Range,
  take: (message: StoredMessage) => void,
): Promise<void> {
  const { startSeq, lastSeq, headersOnly = false } = range;
  const init = { nc, inboxPrefix, stream: STREAM.events, startSeq, headersOnly, silenceMs: READ_SILENCE_MS };
  await using reader = await new StreamReader(init).start();
  for (let reached = startSeq - 1; reached < lastSeq; ) {
    for (const message of await reader.next()) {
      if (message.seq > lastSeq) return;
      take(message);
      reached = message.seq;
    }
  }
}
