import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { seqAtIndex } from "../../follow/find-in-log.ts";
import { readReignHistory, type StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import { unlessMissing } from "../../nats/jetstream-api.ts";
import { headerValue } from "../../protocol/headers.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
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
  return await unlessMissing(readReignHistory({ nc, inboxPrefix: "_INBOX" }));
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
      return { startSeq: await seqAtIndex(nc, history, next.index + 1), history };
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
