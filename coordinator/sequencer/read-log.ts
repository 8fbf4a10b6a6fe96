import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { refusedRecord } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { loggedEvent, printOfLogged } from "../../shared/protocol/logged-event.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LaneMark } from "../../shared/protocol/origin.ts";
import { controlRecordSubject, SUBJECT } from "../../shared/protocol/subjects.ts";
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
  const fence = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.fences });
  state.fence = fence && { subject: fence.subject, seq: fence.seq };
  const startSeq = marks?.seq ?? stream.first_seq;
  await eachMessage(nc, inboxPrefix, { startSeq, lastSeq: stream.last_seq }, (message) =>
    foldLogMessage(state, message),
  );
  return state;
}

/**
 * Which of these events of a node the log has, of whichever incarnation, taken or refused. Reads the whole log: asked only
 * when an outbox is not the one it was.
 */
export async function readPrints(
  nc: NatsConnection,
  inboxPrefix: string,
  node: string,
  marks: readonly LaneMark[],
): Promise<boolean[]> {
  const stream = await streamState(nc, STREAM.events);
  const wanted = new Set(marks.map(({ print }) => print));
  const known = new Set<string>();
  if (stream.messages > 0) {
    const range = { startSeq: stream.first_seq, lastSeq: stream.last_seq };
    await eachMessage(nc, inboxPrefix, { ...range, headersOnly: true }, (message) => {
      const logged = loggedEvent(message);
      if (logged?.origin.node !== node) return;
      const print = printOfLogged(logged, message.subject);
      if (wanted.has(print)) known.add(print);
    });
    const refusals = { ...range, filter: controlRecordSubject("refused") };
    await eachMessage(nc, inboxPrefix, refusals, (message) => {
      const record = refusedRecord.parse(JSON.parse(Buffer.from(message.body).toString("utf8")));
      if (record.node === node && wanted.has(record.print)) known.add(record.print);
    });
  }
  return marks.map(({ print }) => known.has(print));
}

interface Range {
  readonly startSeq: number;
  readonly lastSeq: number;
  readonly headersOnly?: boolean;
  readonly filter?: string;
}

async function eachMessage(
  nc: NatsConnection,
  inboxPrefix: string,
  range: Range,
  take: (message: StoredMessage) => void,
): Promise<void> {
  const { startSeq, lastSeq, headersOnly = false, filter } = range;
  const filters = filter === undefined ? [] : [filter];
  const init = { nc, inboxPrefix, stream: STREAM.events, startSeq, headersOnly, filters };
  await using reader = await new StreamReader({ ...init, silenceMs: READ_SILENCE_MS }).start();
  let reached = 0;
  for await (const messages of reader.backlog(lastSeq)) {
    for (const message of messages) take(message);
    reached = messages.at(-1)?.seq ?? reached;
  }
  // Deleted by hand: whatever is written next would stand where something else once stood.
  if (filter === undefined && reached < lastSeq) {
    throw new LogUnreadable(`the log ends at message ${reached}, its stream was at ${lastSeq}`);
  }
}
