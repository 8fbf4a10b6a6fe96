import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import { streamState } from "../nats/jetstream-api.ts";
import { headerLine, headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import type { EncodedEvent } from "./event-to-append.ts";
import type { TrimmedHistory } from "./trimmed-history.ts";

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
  event: EncodedEvent,
  history: TrimmedHistory,
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
  const kept = first === 1 ? 0 : await history.newestOwn(aggregate);
  if (kept === undefined) return { kind: "conflict", actual: "unknown" };
  if (kept !== expectation.seq) return { kind: "conflict", actual: kept === 0 ? "none" : kept };
  expectation.serverSeq = 0;
  return { kind: "holds" };
}
