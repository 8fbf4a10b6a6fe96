import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage, getMessages } from "../nats/get-message.ts";
import { apiPrefix, streamState } from "../nats/jetstream-api.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { type LogPosition, parseLogPosition, sameReign } from "../protocol/reign.ts";
import { controlRecordSubject, SUBJECT } from "../protocol/subjects.ts";
import type { ReignHistory, ReignStart } from "./reign-history.ts";

export function positionOf(message: StoredMessage | undefined): LogPosition | undefined {
  return message && parseLogPosition(headerValue(message.headerText, HEADER.log));
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
  // The first message's reign may have begun in a part that was purged.
  add(
    await getMessage(nc, STREAM.events, { seq: state.first_seq, next_by_subj: SUBJECT.allEvents }, options),
  );
  const query = { seq: state.first_seq, next_by_subj: controlRecordSubject("reign") };
  for (const record of await getMessages(nc, STREAM.events, query, { ...options, inboxPrefix })) add(record);
  reigns.sort((a, b) => a.index - b.index);
  const last = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents }, options);
  return { reigns, last: positionOf(last), ...range };
}
