import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf, readReignHistory, type StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import { JetStreamRefused } from "../../nats/jetstream-api.ts";
import { headerValue } from "../../protocol/headers.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { SUBJECT } from "../../protocol/subjects.ts";
import { knownHistory, type Standing } from "./checkpoint.ts";
import { continuationOf } from "./log-place.ts";
import { EventsGone, ReaderAhead } from "./reader-errors.ts";

export interface LogStart {
  readonly startSeq: number;
  readonly history: StreamHistory;
}

const LOOK_EVERY_MS = 250;

/** This node's log or copy, as it is now; undefined: it keeps none. */
export async function logHistory(nc: NatsConnection): Promise<StreamHistory | undefined> {
  try {
    return await readReignHistory({ nc, inboxPrefix: "_INBOX" });
  } catch (error) {
    if (error instanceof JetStreamRefused && error.code === 404) return undefined;
    throw error;
  }
}

/**
 * From where a standing goes on in this node's stream.
 *
 * @throws ReaderAhead it has not come as far within `waitMs`
 * @throws EventsGone
 */
export async function findLogStart(
  nc: NatsConnection,
  node: string,
  standing: Standing,
  options: { readonly waitMs: number; readonly signal: AbortSignal; readonly notice: (line: string) => void },
): Promise<LogStart | undefined> {
  const until = performance.now() + options.waitMs;
  for (;;) {
    const history = await logHistory(nc);
    const at = parseLogPosition(standing.log);
    if (!at) return history && { startSeq: Math.max(1, history.firstSeq), history };
    const { local } = standing;
    if (history && local?.node === node) {
      const there = await getMessage(nc, STREAM.events, { seq: local.seq });
      if (there && headerValue(there.headerText, HEADER.log) === local.log)
        return { startSeq: local.seq + 1, history };
    }
    const next = history
      ? continuationOf(knownHistory(standing, at), at, history)
      : ({ kind: "ahead", reason: `the reader stands in the log, and ${node} keeps none` } as const);
    if (next.kind === "gone") throw new EventsGone(`${node}: ${next.reason}`);
    if (next.kind === "behind" && history) {
      if (next.again !== undefined) options.notice(`${node}: ${next.again}`);
      return { startSeq: await seqBehindIndex(nc, history, next.index), history };
    }
    if (performance.now() >= until || options.signal.aborted) {
      const reason = next.kind === "ahead" ? next.reason : "";
      throw new ReaderAhead(
        `${node}: ${reason}; waited ${options.waitMs} ms for it: wait until the node is filled, or read elsewhere`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

/** The first sequence with a higher index: searched, as sequences are this node's own and indexes grow along the log. */
async function seqBehindIndex(nc: NatsConnection, history: StreamHistory, index: number): Promise<number> {
  return await firstSeq(nc, history, ({ headerText }) => {
    return (parseLogPosition(headerValue(headerText, HEADER.log))?.index ?? 0) > index;
  });
}

/** The first sequence that the log's writer stored at a time or later. */
export async function seqAtTime(nc: NatsConnection, history: StreamHistory, atMs: number): Promise<number> {
  const ingestedUs = (text: string) => Number(headerValue(text, HEADER.time)?.split(" ")[1] ?? Number.NaN);
  return await firstSeq(nc, history, ({ headerText }) => ingestedUs(headerText) >= atMs * 1000, true);
}

type Found = NonNullable<Awaited<ReturnType<typeof getMessage>>>;

async function firstSeq(
  nc: NatsConnection,
  { firstSeq, lastSeq }: StreamHistory,
  reached: (message: Found) => boolean,
  timed = false,
): Promise<number> {
  let low = Math.max(1, firstSeq);
  let high = lastSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await usable(nc, middle, high, timed);
    if (!found || reached(found)) high = middle;
    else low = found.seq + 1;
  }
  return low;
}

/** The first message from `seq` on that can be compared: a copy's own record has no position, a control record no time. */
async function usable(
  nc: NatsConnection,
  seq: number,
  end: number,
  timed: boolean,
): Promise<Found | undefined> {
  for (let from = seq; from < end; ) {
    const message = await getMessage(nc, STREAM.events, { seq: from, next_by_subj: SUBJECT.allEvents });
    if (!message || message.seq >= end) return undefined;
    const fits = timed ? headerValue(message.headerText, HEADER.time) !== undefined : positionOf(message);
    if (fits) return message;
    from = message.seq + 1;
  }
  return undefined;
}
