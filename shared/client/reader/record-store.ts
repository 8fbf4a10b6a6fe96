import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage, getMessages } from "../../nats/get-message.ts";
import { JetStreamRefused } from "../../nats/jetstream-api.ts";
import { liveRequest } from "../../nats/live-request.ts";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import { headerLine } from "../../protocol/headers.ts";
import { STREAM } from "../../protocol/names.ts";
import { WRONG_VERSION } from "../write-outcome.ts";
import { parseReaderRecord, type ReaderRecord } from "./reader-record.ts";

export interface StoredRecord {
  readonly subject: string;
  readonly seq: number;
  /** When it was stored, µs since the epoch, by the node's clock. */
  readonly timeUs: number;
  /** undefined: written by a newer build, or by somebody else. */
  readonly record: ReaderRecord | undefined;
}

const ANSWER_TIMEOUT_MS = 5_000;

/** The newest record of a subject. */
export async function readRecord(nc: NatsConnection, subject: string): Promise<StoredRecord | undefined> {
  const message = await getMessage(nc, STREAM.readers, { last_by_subj: subject });
  return message && { ...message, record: parseReaderRecord(message.body) };
}

/** The newest records of all subjects below a pattern. */
export async function readRecords(nc: NatsConnection, pattern: string): Promise<StoredRecord[]> {
  const query = { seq: 1, next_by_subj: pattern };
  const messages = await getMessages(nc, STREAM.readers, query, { inboxPrefix: "_INBOX" });
  return messages.map((message) => ({ ...message, record: parseReaderRecord(message.body) }));
}

/**
 * Replaces the record that stands at `expected` (0: none), judged by the server in the moment of storing. Synced when it
 * resolves.
 *
 * @returns its sequence; undefined when another record stands there
 * @throws JetStreamRefused, or the client's errors when nothing answers: then it may be stored or not
 */
export async function replaceRecord(
  nc: NatsConnection,
  subject: string,
  record: ReaderRecord,
  expected: number,
): Promise<number | undefined> {
  const headers = new EncodedHeaders(headerLine("Nats-Expected-Last-Subject-Sequence", String(expected)));
  const options = { headers, timeout: ANSWER_TIMEOUT_MS };
  const answer = await liveRequest(nc, subject, JSON.stringify(record), options);
  const { seq, error } = answer.json<{
    seq?: number;
    error?: { code?: number; err_code?: number; description?: string };
  }>();
  if (error && WRONG_VERSION.has(error.err_code ?? 0)) return undefined;
  if (error || seq === undefined) throw new JetStreamRefused(STREAM.readers, error ?? {});
  return seq;
}
