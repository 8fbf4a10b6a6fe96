import type { NatsConnection } from "@nats-io/transport-node";
import type { Contracts } from "../../shared/consistency/contract/contract.ts";
import { strongIn } from "../../shared/consistency/contract/strong-domains.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import { firstStoredSince, storedTimeIn } from "../../shared/nats/first-stored-since.ts";
import { getMessage, getMessages } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { RECOGNISED_MS } from "../../shared/protocol/commit.ts";
import { readRecord, refusedRecord } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import {
  type LoggedEvent,
  loggedEvent,
  printOfLogged,
  shippedInLog,
} from "../../shared/protocol/logged-event.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LaneMark } from "../../shared/protocol/origin.ts";
import { controlRecordSubject, domainFilter, SUBJECT } from "../../shared/protocol/subjects.ts";
import { isMarks, LogFold, LogUnreadable, takeCommit } from "./fold-log.ts";
import type { Foreign } from "./foreign.ts";
import { emptyLogState, type Fence, type LogState } from "./log-state.ts";

/** A read that makes no progress for so long has lost its server. */
const READ_SILENCE_MS = 5000;

export interface ReadLog {
  readonly state: LogState;
  readonly foreign: readonly Foreign[];
  /** Sequence behind which the stream's last messages were deleted; undefined: none were. */
  readonly cutBehind: number | undefined;
}

/** What has to be read before the newest marks: commits that may be sent again. */
export interface CommitWindow {
  readonly contracts: Contracts;
  readonly nowMs: number;
}

/** The state of the log, read from its newest marks record on. @throws LogUnreadable, ReaderBroken, or the client's error */
export async function readLog(
  nc: NatsConnection,
  inboxPrefix: string,
  window: CommitWindow,
): Promise<ReadLog> {
  const stream = await streamState(nc, STREAM.events);
  const state = emptyLogState();
  if (stream.messages === 0) {
    // Deleting a log's messages leaves its numbering: a log that was emptied by hand is not a new one.
    if (stream.last_seq > 0)
      throw new LogUnreadable(`the log was emptied; its stream was at ${stream.last_seq}`);
    return { state, foreign: [], cutBehind: undefined };
  }
  const { first_seq: first, last_seq: last } = stream;
  const marks = await newestMarks(nc, inboxPrefix, first);
  // A log that was never purged begins at 1, also where something foreign stood before that and was taken out.
  const fold = marks === undefined ? new LogFold(state, 1) : new LogFold(state);
  const foreign: Foreign[] = [];
  if (marks !== undefined) {
    const range = { startSeq: first, lastSeq: marks - 1 };
    await readCommits(nc, inboxPrefix, range, window, (logged, message) =>
      takeCommit(state.commits, logged, message),
    );
  }
  await eachMessage(nc, inboxPrefix, { startSeq: marks ?? first, lastSeq: last }, (message) => {
    if (!fold.take(message)) foreign.push(message);
  });
  state.fence ??= await newestFence(nc, inboxPrefix, first, marks ?? first);
  if (state.position === undefined && first > 1)
    throw new LogUnreadable(`the log's stream begins at ${first} and has nothing of the log`);
  return { state, foreign, cutBehind: await goOnBehindCut(nc, state, last) };
}

/** Commits that may be sent again: those of the domains that are strong, stored within the window. */
async function readCommits(
  nc: NatsConnection,
  inboxPrefix: string,
  { startSeq: first, lastSeq }: Pick<Range, "startSeq" | "lastSeq">,
  { contracts, nowMs }: CommitWindow,
  take: (logged: LoggedEvent, message: StoredMessage) => void,
): Promise<void> {
  const strong = strongIn(contracts);
  const filters = strong.all ? [SUBJECT.allEvents] : strong.domains.map(domainFilter);
  if (filters.length === 0 || lastSeq < first) return;
  const startSeq = await firstStoredSince(
    storedTimeIn(nc, STREAM.events),
    first,
    lastSeq,
    (nowMs - RECOGNISED_MS) * 1000,
  );
  if (startSeq > lastSeq) return;
  await eachMessage(nc, inboxPrefix, { startSeq, lastSeq, headersOnly: true, filters }, (message) => {
    const logged = loggedEvent(message);
    if (logged?.origin.lane === "c" && positionOf(message)) take(logged, message);
  });
}

/**
 * Where a stream's last messages were deleted, its numbering goes on behind them, and so does the log: as after a restore,
 * its next reign tells everybody where. Gives the sequence behind which they are gone.
 */
async function goOnBehindCut(nc: NatsConnection, state: LogState, last: number): Promise<number | undefined> {
  const cutBehind = state.lastSeq;
  if (cutBehind >= last) return undefined;
  const more = await getMessage(nc, STREAM.events, { seq: cutBehind + 1, next_by_subj: SUBJECT.allEvents });
  if (more && more.seq <= last)
    throw new Error(`the log was read up to ${cutBehind} only, and has ${more.seq}`);
  state.lastSeq = last;
  return cutBehind;
}

/** The sequence of the newest marks record, not counting what only stands on its subject. */
export async function newestMarks(
  nc: NatsConnection,
  inboxPrefix: string,
  first: number,
): Promise<number | undefined> {
  const subject = controlRecordSubject("marks");
  for await (const message of newestFirst(nc, inboxPrefix, subject, first)) {
    const before =
      message.seq > first ? await getMessage(nc, STREAM.events, { seq: message.seq - 1 }) : undefined;
    if (isMarks(message, before)) return message.seq;
  }
  return undefined;
}

/** The newest fence before a message. What stands on its subject counts, whoever wrote that: the next reign expects it. */
export async function newestFence(
  nc: NatsConnection,
  inboxPrefix: string,
  first: number,
  before = Number.POSITIVE_INFINITY,
): Promise<Fence | undefined> {
  for await (const message of newestFirst(nc, inboxPrefix, SUBJECT.fences, first)) {
    if (message.seq >= before || !positionOf(message)) continue;
    const { subject } = message;
    const newest = await getMessage(nc, STREAM.events, { last_by_subj: subject });
    return { subject, seq: newest?.seq ?? message.seq };
  }
  return undefined;
}

/** All messages of a subject, newest first. The newest is nearly always the one that is wanted, so the others wait. */
async function* newestFirst(
  nc: NatsConnection,
  inboxPrefix: string,
  subject: string,
  first: number,
): AsyncGenerator<StoredMessage> {
  const newest = await getMessage(nc, STREAM.events, { last_by_subj: subject });
  if (!newest) return;
  yield newest;
  const all = await getMessages(nc, STREAM.events, { seq: first, next_by_subj: subject }, { inboxPrefix });
  for (const message of all.reverse()) if (message.seq < newest.seq) yield message;
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
      const logged = shippedInLog(message);
      if (logged?.origin.node !== node) return;
      const print = printOfLogged(logged, message.subject);
      if (wanted.has(print)) known.add(print);
    });
    const refusals = { ...range, filters: [controlRecordSubject("refused")] };
    await eachMessage(nc, inboxPrefix, refusals, (message) => {
      const record = readRecord(refusedRecord, message);
      if (record?.node === node && wanted.has(record.print)) known.add(record.print);
    });
  }
  return marks.map(({ print }) => known.has(print));
}

interface Range {
  readonly startSeq: number;
  readonly lastSeq: number;
  readonly headersOnly?: boolean;
  readonly filters?: readonly string[];
}

async function eachMessage(
  nc: NatsConnection,
  inboxPrefix: string,
  range: Range,
  take: (message: StoredMessage) => void,
): Promise<void> {
  const { startSeq, lastSeq, headersOnly = false, filters = [] } = range;
  const init = { nc, inboxPrefix, stream: STREAM.events, startSeq, headersOnly, filters };
  await using reader = await new StreamReader({ ...init, silenceMs: READ_SILENCE_MS }).start();
  for await (const messages of reader.backlog(lastSeq)) for (const message of messages) take(message);
}
