import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import { streamState, unlessMissing } from "../nats/jetstream-api.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { loggedEvent } from "../protocol/logged-event.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { controlRecordSubject, EVENTS_PREFIX, SUBJECT } from "../protocol/subjects.ts";
import { firstInOutbox } from "./expectation.ts";
import { findInStream } from "./scan-stream.ts";
import { TrimmedHistory } from "./trimmed-history.ts";

/** Where to look. The narrower, the less is read. */
export interface FindOptions {
  readonly domain?: string;
  readonly aggregate?: string;
  /** Only from this outbox sequence on, as of the last append that is known to be before it. Leaves out the log. */
  readonly fromSeq?: number;
  /** Of each request, ms. Default 5,000. */
  readonly timeoutMs?: number;
}

/** What a search for an event's id came to. Of a strong domain: `node` committed it, `seq` is its version. */
export type Found =
  | {
      readonly found: true;
      readonly node: string;
      readonly seq: number;
      /** The log would not take it: it is kept in this node's `CIM_REFUSED`, with the reason. Said of trimmed ones only. */
      readonly refused?: true;
    }
  /**
   * Not among the outbox's events up to `upTo`. `complete` is false where events before `from` were trimmed and the node
   * keeps no log or copy that surely has all of them, or this user may not read what was refused.
   */
  | {
      readonly found: false;
      readonly node: string;
      readonly from: number;
      readonly upTo: number;
      readonly complete: boolean;
    };

/** Searches a node's outbox; for what was trimmed of it the log or copy, and what the log refused. */
export async function findEvent(
  nc: NatsConnection,
  node: string,
  id: string,
  options: FindOptions,
): Promise<Found> {
  const { timeoutMs = 5_000, fromSeq } = options;
  const filter = filterOf(options);
  const { last_seq: upTo } = await streamState(nc, STREAM.outbox, { timeoutMs });
  const inOutbox = { nc, timeoutMs, filter, stream: STREAM.outbox, from: fromSeq ?? 1 };
  const own = await findInStream(inOutbox, ({ headerText, seq }) =>
    headerValue(headerText, HEADER.msgId) === id ? seq : undefined,
  );
  if (own !== undefined) return { found: true, node, seq: own };
  // As of now: what was trimmed while it was read may not have been seen.
  const from = Math.max(await firstInOutbox(nc, timeoutMs), inOutbox.from);
  if (from === inOutbox.from) return { found: false, node, from, upTo, complete: true };
  if (!(await unlessMissing(streamState(nc, STREAM.events, { timeoutMs }))))
    return { found: false, node, from, upTo, complete: false };
  const ownSeq = (message: StoredMessage) => {
    const event = loggedEvent(message);
    return event?.id === id && event.origin.node === node ? event.origin.seq : undefined;
  };
  const inLog = { nc, timeoutMs, filter, stream: STREAM.events, from: 1 };
  const logged = await findInStream(inLog, ownSeq);
  if (logged !== undefined) return { found: true, node, seq: logged };
  const complete = await new TrimmedHistory({ nc, node, timeoutMs }).isWhole();
  const refusals = { last_by_subj: controlRecordSubject("refused") };
  if (complete && (await getMessage(nc, STREAM.events, refusals, { timeoutMs }))) {
    const setAside = { nc, timeoutMs, filter: SUBJECT.refused, stream: STREAM.refused, from: 1 };
    // Not every user may look there.
    const seq = await findInStream(setAside, ownSeq).catch(() => "not seen" as const);
    if (seq === "not seen") return { found: false, node, from, upTo, complete: false };
    if (seq !== undefined) return { found: true, node, seq, refused: true };
  }
  return { found: false, node, from: complete ? inOutbox.from : from, upTo, complete };
}

function filterOf({ domain, aggregate }: FindOptions): string {
  if (domain === undefined) return SUBJECT.allEvents;
  return aggregate === undefined ? `${EVENTS_PREFIX}${domain}.>` : `${EVENTS_PREFIX}${domain}.${aggregate}.*`;
}
