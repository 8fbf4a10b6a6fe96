import type { NatsConnection } from "@nats-io/transport-node";
import { nextEvent, seqAtIndex, seqAtTime } from "../shared/follow/find-in-log.ts";
import { positionOf } from "../shared/follow/read-history.ts";
import { getMessage } from "../shared/nats/get-message.ts";
import { JetStreamRefused, type StreamState, streamState } from "../shared/nats/jetstream-api.ts";
import { readEvent } from "../shared/protocol/cloud-event.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { STREAM } from "../shared/protocol/names.ts";
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
    throw new CommandFailure(`the log on ${node} can't be read: ${errorText(cause)}`, 1, { cause });
  }
}

/** The log's number of the newest message; undefined: there is none, or it has none, as a copy's own record. */
export async function newestIndex(nc: NatsConnection): Promise<number | undefined> {
  return positionOf(await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents }))?.index;
}

/** The stream's sequence of the first message at a place or after it; one beyond the last when there is none. */
export async function seqAt(nc: NatsConnection, state: StreamState, place: LogPlace): Promise<number> {
  const range = { firstSeq: state.first_seq, lastSeq: state.last_seq };
  if (place.kind === "end" || state.messages === 0) return range.lastSeq + 1;
  if (place.kind === "start") return range.firstSeq;
  return place.kind === "index"
    ? await seqAtIndex(nc, range, place.index)
    : await seqAtTime(nc, range, place.atMs);
}

/** When the origin of the first event from a sequence on stored it, ms since the epoch; undefined: there is none. */
export async function timeAt(nc: NatsConnection, seq: number): Promise<number | undefined> {
  const found = await nextEvent(nc, seq);
  const event = found && readEvent(found, "");
  return event && event.appendedUs / 1000;
}
