import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage, getMessages, type MessageQuery } from "../nats/get-message.ts";
import { apiPrefix, streamState } from "../nats/jetstream-api.ts";
import { readRecord, reignRecord } from "../protocol/control-records.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { type LogPosition, parseLogPosition, sameReign } from "../protocol/reign.ts";
import { controlRecordSubject, SUBJECT } from "../protocol/subjects.ts";
import type { ReignHistory, ReignStart } from "./reign-history.ts";

export function positionOf(message: StoredMessage | undefined): LogPosition | undefined {
  return message && parseLogPosition(headerValue(message.headerText, HEADER.log));
}

/** Whether a message is the record of the reign that its place in the log names: anything may stand on that subject. */
export function beginsReign(message: StoredMessage): boolean {
  const position = positionOf(message);
  const record = position && readRecord(reignRecord, message);
  if (!position || !record || !sameReign(record.reign, position.reign)) return false;
  return record.previous === null || record.previous.index === position.index - 1;
}

export interface HistorySource {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  /** JetStream domain of another server. */
  readonly domain?: string;
  readonly timeoutMs?: number;
}

/** A stream's reigns and range. */
export interface StreamHistory extends ReignHistory {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The reigns of the log or a copy, from its own records. @throws the client's error when its server does not answer */
export async function readReignHistory(source: HistorySource): Promise<StreamHistory> {
  const { nc, inboxPrefix, timeoutMs = 2000 } = source;
  const options = { prefix: apiPrefix(source.domain), timeoutMs };
  const state = await streamState(nc, STREAM.events, options);
  const range = { firstSeq: state.first_seq, lastSeq: state.last_seq };
  if (state.messages === 0) return { reigns: [], last: undefined, ...range };
  const reigns: ReignStart[] = [];
  const add = (message: StoredMessage | undefined) => {
    const position = positionOf(message);
    if (!message || !position || reigns.some(({ reign }) => sameReign(reign, position.reign))) return;
    reigns.push({ reign: position.reign, index: position.index, seq: message.seq });
  };
  const get = (query: MessageQuery) => getMessage(nc, STREAM.events, query, options);
  // The first message's reign may have begun in a part that was purged.
  add(await firstWithPosition(get, state.first_seq));
  const query = { seq: state.first_seq, next_by_subj: controlRecordSubject("reign") };
  for (const record of await getMessages(nc, STREAM.events, query, { ...options, inboxPrefix }))
    if (beginsReign(record)) add(record);
  reigns.sort((a, b) => a.index - b.index);
  // A copy's end says little: its own record may stand there, behind more than one would step over that was set aside.
  const isLog = source.domain !== undefined;
  const last = isLog
    ? await lastInLog(get, reigns)
    : await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents }, options);
  return { reigns, last: positionOf(last), ...range };
}

type Get = (query: MessageQuery) => Promise<StoredMessage | undefined>;

/**
 * What is not the log's, or a copy's own record, is stepped over. The sequencer takes it out of the log within seconds, so
 * where there is more of it, looking again later is quicker than looking further.
 */
const MOST_STEPS = 100;

async function firstWithPosition(get: Get, firstSeq: number): Promise<StoredMessage | undefined> {
  for (let seq = firstSeq, steps = 0; steps < MOST_STEPS; steps++) {
    const message = await get({ seq, next_by_subj: SUBJECT.allEvents });
    if (!message || positionOf(message)) return message;
    seq = message.seq + 1;
  }
  throw new Error("the stream begins with messages that are not the log's");
}

async function lastInLog(get: Get, reigns: readonly ReignStart[]): Promise<StoredMessage | undefined> {
  let message = await get({ last_by_subj: SUBJECT.allEvents });
  let seq = message?.seq ?? 0;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    if (seq < 1 || (message && standsInReign(reigns, message))) return message;
    seq -= 1;
    message = seq < 1 ? undefined : await get({ seq });
  }
  throw new Error("the stream ends with messages that are not the log's");
}

/** In the log, indexes and sequences grow together within a reign. What has another place is not the sequencer's. */
function standsInReign(reigns: readonly ReignStart[], message: StoredMessage): boolean {
  const position = positionOf(message);
  const start = position && reigns.find(({ reign }) => sameReign(reign, position.reign));
  return !!position && !!start && message.seq - start.seq === position.index - start.index;
}
