import type { NatsConnection } from "@nats-io/transport-node";
import { marksWhere } from "../../follow/find-in-log.ts";
import { positionOf, type StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import { firstKept, streamState } from "../../nats/jetstream-api.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import type { MarksRecord } from "../../protocol/control-records.ts";
import { printInOutbox, printOfLogged, shippedInLog } from "../../protocol/logged-event.ts";
import { STREAM } from "../../protocol/names.ts";
import { SUBJECT } from "../../protocol/subjects.ts";
import { type Lane, type Merge, nothingOf } from "./merge.ts";

export type OutboxStart =
  | { readonly kind: "open"; readonly startSeq: number }
  /** What was trimmed comes from the log first, up to where the log is now. */
  | { readonly kind: "after-log"; readonly first: number }
  /** It is another outbox than the log told of so far: own events come from the log, until it has one of this one. */
  | { readonly kind: "log-only" };

export interface OutboxFacts {
  readonly first: number;
  readonly last: number;
  /** Print of the event at the lane's sequence; undefined: there is none. */
  readonly print: string | undefined;
  /** All of the log was read that was there when the outbox began at this sequence. */
  readonly caughtUpFrom: number | undefined;
}

/** From where an outbox is read ahead of the log. Pure. */
export function outboxStart(own: Lane | undefined, facts: OutboxFacts): OutboxStart | { kind: "replaced" } {
  const { first, last, print, caughtUpFrom = 1 } = facts;
  // What was trimmed up to there has been read in the log; what went since then may not.
  const rest = (): OutboxStart =>
    first <= caughtUpFrom ? { kind: "open", startSeq: Math.max(1, first) } : { kind: "after-log", first };
  if (!own || own.seq === 0) return rest();
  if (own.seq > last) return { kind: "replaced" };
  // Whether it is the same outbox can't be seen when that event is gone, but nothing is missed behind it.
  if (own.seq < first) return rest();
  if (own.last !== undefined && own.last() !== print) return { kind: "replaced" };
  return { kind: "open", startSeq: own.seq + 1 };
}

/** Looks at the outbox, and where it is not the one that was read ahead forgets that. */
export async function findOutboxStart(
  nc: NatsConnection,
  merge: Merge,
  options: {
    readonly caughtUpFrom: number | undefined;
    readonly logSeq: number | undefined;
    readonly notice: (line: string) => void;
  },
): Promise<OutboxStart> {
  const state = await streamState(nc, STREAM.outbox);
  const first = firstKept(state);
  const look = async () => {
    const { own } = merge;
    const inRange = own && own.seq >= first && own.seq <= state.last_seq;
    const print = inRange ? await printAt(nc, merge.node, own.seq) : undefined;
    return outboxStart(own, { first, last: state.last_seq, print, caughtUpFrom: options.caughtUpFrom });
  };
  let found = await look();
  if (found.kind === "replaced") {
    const before = merge.own?.seq;
    merge.forgetReadAhead();
    if (!merge.own && options.logSeq !== undefined)
      merge.own = await newestOwn(nc, merge.node, options.logSeq);
    if (merge.own?.seq !== before)
      options.notice(
        `the outbox of ${merge.node} is another one than before: own events behind ${merge.own?.seq ?? 0} may come again`,
      );
    found = await look();
  }
  return found.kind === "replaced" ? { kind: "log-only" } : found;
}

/** The print of the event that a node's outbox has at a sequence; undefined: it has none there. */
export async function printAt(nc: NatsConnection, node: string, seq: number): Promise<string | undefined> {
  const message = await getMessage(nc, STREAM.outbox, { seq });
  return message && printInOutbox(node, message);
}

/** The newest own event in the log or copy before a sequence: looked for from there, ever further back. */
export async function newestOwn(nc: NatsConnection, node: string, before: number): Promise<Lane | undefined> {
  const { first_seq: first } = await streamState(nc, STREAM.events);
  for (let window = 1000, end = before; end > first; window *= 8) {
    const startSeq = Math.max(first, before - window);
    let newest: Lane | undefined;
    for await (const { lane } of ownLogged(nc, node, startSeq, end - 1)) newest = lane;
    if (newest) return newest;
    end = startSeq;
  }
  return undefined;
}

/**
 * The newest own event up to an index of the log: as the last record of marks up to there says, and what is behind that,
 * which are never many.
 */
export async function ownUpTo(
  nc: NatsConnection,
  node: string,
  history: StreamHistory,
  index: number,
): Promise<Lane> {
  const { marks, nextSeq } = await marksWhere(nc, history, (_, at) => at > index);
  let newest = ownInMarks(node, marks?.record) ?? nothingOf(node);
  const startSeq = marks ? marks.seq + 1 : history.firstSeq;
  if (startSeq >= nextSeq) return newest;
  let newestAt = 0;
  for await (const { lane, at } of ownLogged(nc, node, startSeq, nextSeq - 1)) {
    // What was filled in here may be older than the marks.
    if (at > index || at <= Math.max(newestAt, marks?.index ?? 0)) continue;
    newestAt = at;
    newest = lane;
  }
  return newest;
}

/** Own events of a part of the log or copy, in its order; `at`: their log indexes. */
async function* ownLogged(
  nc: NatsConnection,
  node: string,
  startSeq: number,
  lastSeq: number,
): AsyncGenerator<{ readonly lane: Lane; readonly at: number }> {
  await using reader = await new StreamReader({
    nc,
    stream: STREAM.events,
    startSeq,
    filters: [SUBJECT.allEvents],
    headersOnly: true,
  }).start();
  for await (const messages of reader.backlog(lastSeq)) {
    for (const message of messages) {
      const logged = shippedInLog(message);
      if (logged?.origin.node !== node) continue;
      const { incarnation, seq } = logged.origin;
      const print = printOfLogged(logged, message.subject);
      const lane = { ...nothingOf(node), incarnation, seq, last: () => print };
      yield { lane, at: positionOf(message)?.index ?? 0 };
    }
  }
}

/** How far the log has a node's events by its own marks; undefined: it has none. */
export function ownInMarks(node: string, record: MarksRecord | undefined): Lane | undefined {
  const lane = record?.lanes.find((one) => one.node === node);
  if (!lane || lane.mark.seq === 0) return undefined;
  const { incarnation, mark } = lane;
  return { ...nothingOf(node), incarnation, seq: mark.seq, last: () => mark.print };
}
