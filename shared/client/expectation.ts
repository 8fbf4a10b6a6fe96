import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage, getMessages } from "../nats/get-message.ts";
import { JetStreamRefused, streamState } from "../nats/jetstream-api.ts";
import { headerLine, headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { parseOrigin } from "../protocol/origin.ts";
import { controlRecordSubject } from "../protocol/subjects.ts";
import type { EncodedEvent } from "./event-to-append.ts";

/** What an event expects of its aggregate when it is stored. */
export interface Expectation {
  /** The sequence of the aggregate's newest event in this node's outbox; 0: it has none. */
  readonly seq: number;
  /** What the server is to find: 0 where that event was trimmed meanwhile and is known to be the newest. */
  serverSeq: number;
}

/** `unknown`: it was trimmed, and the node has no copy that would tell. */
export type ActualVersion = number | "none" | "unknown";

export type Judgement =
  | { readonly kind: "holds" }
  | { readonly kind: "conflict"; readonly actual: ActualVersion }
  /** An earlier attempt has stored it. */
  | { readonly kind: "stored"; readonly seq: number };

/** The headers by which nats-server judges it. The filter covers all types of the aggregate. */
export function expectationLines({ aggregate, expectation }: EncodedEvent): string {
  if (!expectation) return "";
  return (
    headerLine("Nats-Expected-Last-Subject-Sequence", expectation.serverSeq) +
    headerLine("Nats-Expected-Last-Subject-Sequence-Subject", aggregate)
  );
}

/**
 * The first sequence that the outbox still has. What an aggregate had before, the outbox can't tell: an expectation of
 * none has to be judged by the copy then.
 */
export async function firstKept(nc: NatsConnection, timeoutMs: number): Promise<number> {
  const { messages, first_seq, last_seq } = await streamState(nc, STREAM.outbox, { timeoutMs });
  return messages === 0 ? last_seq + 1 : first_seq;
}

/** Reads whether an event's expectation holds now; where the outbox was trimmed, from the log or the copy. */
export async function judgeExpectation(
  nc: NatsConnection,
  node: string,
  event: EncodedEvent,
  timeoutMs: number,
): Promise<Judgement> {
  const { aggregate, expectation, identity } = event;
  if (!expectation) return { kind: "holds" };
  // The server judges a single publish's expectation before its id. If an earlier attempt was stored, its expectation
  // held, so it is the very next event of the aggregate, whatever came later.
  const query = { seq: expectation.seq + 1, next_by_subj: aggregate };
  const next = await getMessage(nc, STREAM.outbox, query, { timeoutMs });
  if (next && headerValue(next.headerText, HEADER.msgId) === identity.id)
    return { kind: "stored", seq: next.seq };
  const newest = await getMessage(nc, STREAM.outbox, { last_by_subj: aggregate }, { timeoutMs });
  if (newest) {
    expectation.serverSeq = expectation.seq;
    return newest.seq === expectation.seq ? { kind: "holds" } : { kind: "conflict", actual: newest.seq };
  }
  const first = await firstKept(nc, timeoutMs);
  if (expectation.seq >= first) return { kind: "conflict", actual: first === 1 ? "none" : "unknown" };
  const kept = first === 1 ? 0 : await newestOwnInLog(nc, node, aggregate, timeoutMs);
  if (kept === undefined) return { kind: "conflict", actual: "unknown" };
  if (kept !== expectation.seq) return { kind: "conflict", actual: kept === 0 ? "none" : kept };
  expectation.serverSeq = 0;
  return { kind: "holds" };
}

/**
 * The outbox's sequence of the newest event of this node that the log or copy has of an aggregate: all that was trimmed is
 * there. 0: none; undefined: there is no copy, or not of the whole.
 */
async function newestOwnInLog(
  nc: NatsConnection,
  node: string,
  aggregate: string,
  timeoutMs: number,
): Promise<number | undefined> {
  const seqOf = (headerText: string): number => {
    const origin = parseOrigin(headerValue(headerText, HEADER.origin));
    return origin?.node === node ? origin.seq : 0;
  };
  try {
    await streamState(nc, STREAM.events, { timeoutMs });
    const newest = await getMessage(nc, STREAM.events, { last_by_subj: aggregate }, { timeoutMs });
    if (!newest) return (await followsAll(nc, timeoutMs)) ? 0 : undefined;
    const own = seqOf(newest.headerText);
    if (own > 0) return own;
    // Others wrote it last. Streams are searched forwards only.
    const all = await getMessages(
      nc,
      STREAM.events,
      { seq: 1, next_by_subj: aggregate },
      { timeoutMs, inboxPrefix: "_INBOX" },
    );
    return all.reduce((highest, { headerText }) => Math.max(highest, seqOf(headerText)), 0);
  } catch (error) {
    if (error instanceof JetStreamRefused && error.code === 404) return undefined;
    throw error;
  }
}

/** An empty answer means something only where the stream follows every domain. */
async function followsAll(nc: NatsConnection, timeoutMs: number): Promise<boolean> {
  const record = await getMessage(
    nc,
    STREAM.events,
    { last_by_subj: controlRecordSubject("copy") },
    { timeoutMs },
  );
  // A hub's log has no such record.
  if (!record) return true;
  const { live } = JSON.parse(Buffer.from(record.body).toString()) as { live: string[] };
  return live.includes("*");
}
