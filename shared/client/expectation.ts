import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage, type MessageQuery } from "../nats/get-message.ts";
import { firstKept, streamState } from "../nats/jetstream-api.ts";
import type { StoredMessage } from "../protocol/event.ts";
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
export async function firstInOutbox(nc: NatsConnection, timeoutMs: number): Promise<number> {
  return firstKept(await streamState(nc, STREAM.outbox, { timeoutMs }));
}

/**
 * Reads whether expectations hold now; where the outbox was trimmed, from the log or the copy. For what is judged at one
 * moment: many that compete for one version are answered by one reading.
 */
export class VersionReader {
  readonly #nc: NatsConnection;
  readonly #timeoutMs: number;
  readonly #history: TrimmedHistory;
  readonly #read = new Map<string, Promise<StoredMessage | undefined>>();

  constructor(nc: NatsConnection, timeoutMs: number, history: TrimmedHistory) {
    this.#nc = nc;
    this.#timeoutMs = timeoutMs;
    this.#history = history;
  }

  async judge({ aggregate, expectation, identity }: EncodedEvent): Promise<Judgement> {
    if (!expectation) return { kind: "holds" };
    // The server judges a single publish's expectation before its id. If an earlier attempt was stored, its expectation
    // held, so it is the very next event of the aggregate, whatever came later.
    const next = await this.#message({ seq: expectation.seq + 1, next_by_subj: aggregate });
    if (next && headerValue(next.headerText, HEADER.msgId) === identity.id)
      return { kind: "stored", seq: next.seq };
    const newest = await this.#message({ last_by_subj: aggregate });
    if (newest) {
      expectation.serverSeq = expectation.seq;
      return newest.seq === expectation.seq ? { kind: "holds" } : { kind: "conflict", actual: newest.seq };
    }
    // Not remembered: it is read after there was nothing in the outbox, or what is trimmed in between is overlooked.
    const first = await firstInOutbox(this.#nc, this.#timeoutMs);
    if (expectation.seq >= first) return { kind: "conflict", actual: first === 1 ? "none" : "unknown" };
    const kept = first === 1 ? 0 : await this.#history.newestOwn(aggregate);
    if (kept === undefined) return { kind: "conflict", actual: "unknown" };
    if (kept !== expectation.seq) return { kind: "conflict", actual: kept === 0 ? "none" : kept };
    expectation.serverSeq = 0;
    return { kind: "holds" };
  }

  #message(query: MessageQuery): Promise<StoredMessage | undefined> {
    const key = JSON.stringify(query);
    let reading = this.#read.get(key);
    if (!reading) {
      reading = getMessage(this.#nc, STREAM.outbox, query, { timeoutMs: this.#timeoutMs });
      this.#read.set(key, reading);
    }
    return reading;
  }
}
