import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../shared/nats/get-message.ts";
import { JetStreamRefused, type StreamState, streamState } from "../shared/nats/jetstream-api.ts";
import { readEvent } from "../shared/protocol/cloud-event.ts";
import type { StoredMessage } from "../shared/protocol/event.ts";
import { headerValue } from "../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../shared/protocol/names.ts";
import { parseLogPosition } from "../shared/protocol/reign.ts";
import { SUBJECT } from "../shared/protocol/subjects.ts";
import { CommandFailure } from "./failure.ts";
import type { LogPlace } from "./log-place.ts";

/** The log's state on this node (the hub's log, a leaf's copy). @throws CommandFailure when it keeps none */
export async function logState(nc: NatsConnection, node: string): Promise<StreamState> {
  try {
    return await streamState(nc, STREAM.events);
  } catch (cause) {
    if (cause instanceof JetStreamRefused && cause.code === 404) {
      throw new CommandFailure(
        `${node} keeps no copy of the log (sync.enabled is false there, or no daemon has run yet): read it on the hub`,
        1,
        { cause },
      );
    }
    throw new CommandFailure(`the log on ${node} can't be read: ${messageOf(cause)}`, 1, { cause });
  }
}

/**
 * The stream's sequence of the first message at a place or after it; one beyond the last when there is none. Sequences
 * are this node's own, so it is searched for: log indexes and times of ingestion grow along the log.
 */
export async function seqAt(nc: NatsConnection, state: StreamState, place: LogPlace): Promise<number> {
  const beyond = state.last_seq + 1;
  if (place.kind === "end" || state.messages === 0) return beyond;
  if (place.kind === "start") return state.first_seq;
  const reached = (message: StoredMessage) =>
    place.kind === "index"
      ? (parseLogPosition(headerValue(message.headerText, HEADER.log))?.index ?? 0) >= place.index
      : (readEvent(message, "")?.ingestedUs ?? 0) >= place.atMs * 1000;
  let low = state.first_seq;
  let high = beyond;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await nextMessage(nc, middle, high, place.kind === "time");
    if (!found || reached(found)) high = middle;
    else low = found.seq + 1;
  }
  return low;
}

/** When the origin of the first event from a sequence on stored it, ms since the epoch; undefined: there is none. */
export async function timeAt(nc: NatsConnection, seq: number): Promise<number | undefined> {
  const found = await nextMessage(nc, seq, Number.POSITIVE_INFINITY, true);
  const event = found && readEvent(found, "");
  return event && event.appendedUs / 1000;
}

/** The first message from `seq` on and before `end`; control records have no time and are passed over where one is needed. */
async function nextMessage(
  nc: NatsConnection,
  seq: number,
  end: number,
  withTime: boolean,
): Promise<StoredMessage | undefined> {
  for (let from = seq; from < end; ) {
    const message = await getMessage(nc, STREAM.events, { seq: from, next_by_subj: SUBJECT.allEvents });
    if (!message || message.seq >= end) return undefined;
    if (!withTime || headerValue(message.headerText, HEADER.time) !== undefined) return message;
    from = message.seq + 1;
  }
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
