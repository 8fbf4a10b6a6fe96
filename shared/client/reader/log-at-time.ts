import type { NatsConnection } from "@nats-io/transport-node";
import { ingestedUs, marksWhere } from "../../follow/find-in-log.ts";
import { positionOf, type StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import { copyRecord, readRecord } from "../../protocol/control-records.ts";
import { STREAM } from "../../protocol/names.ts";
import type { LogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject, SUBJECT } from "../../protocol/subjects.ts";

/** A place between two messages of the log. */
export interface PlaceInLog {
  /** The last position before it; undefined: it is before all that is here. */
  readonly position: LogPosition | undefined;
  readonly startSeq: number;
}

/** Behind all that the log has here now. */
export async function placeAtEnd(nc: NatsConnection, history: StreamHistory): Promise<PlaceInLog> {
  const last = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents });
  if (!last) return { position: undefined, startSeq: history.lastSeq + 1 };
  // What is filled in ends with a record, which says where the others stand.
  const isRecord = last.subject === controlRecordSubject("copy");
  const position = isRecord ? (readRecord(copyRecord, last)?.at ?? undefined) : positionOf(last);
  return { position, startSeq: last.seq + 1 };
}

/** Before what the log's writer stored at a time or later: times grow with the index, in a copy not along its stream. */
export async function placeAtTime(
  nc: NatsConnection,
  history: StreamHistory,
  atMs: number,
): Promise<PlaceInLog> {
  const isSince = (us: number | undefined) => us !== undefined && us >= atMs * 1000;
  const { marks } = await marksWhere(nc, history, async (_, index, seq) => {
    for await (const { position, us } of headers(nc, seq + 1, history.lastSeq))
      if (us !== undefined && position.index > index) return isSince(us);
    return true;
  });
  const startSeq = marks ? marks.seq + 1 : Math.max(1, history.firstSeq);
  let before: LogPosition | undefined = positionOf(
    marks && (await getMessage(nc, STREAM.events, { seq: marks.seq })),
  );
  for await (const { position, us } of headers(nc, startSeq, history.lastSeq)) {
    if (position.index <= (before?.index ?? 0)) continue;
    before = position;
    if (!isSince(us)) continue;
    // What is between may be of domains that are filled in further behind. Its reign's record comes before any event.
    before = { reign: position.reign, index: position.index - 1 };
    break;
  }
  return { position: before, startSeq };
}

async function* headers(
  nc: NatsConnection,
  startSeq: number,
  upTo: number,
): AsyncGenerator<{ readonly position: LogPosition; readonly us: number | undefined }> {
  if (startSeq > upTo) return;
  const init = { nc, stream: STREAM.events, startSeq, filters: [SUBJECT.allEvents], headersOnly: true };
  await using reader = await new StreamReader(init).start();
  for await (const messages of reader.backlog(upTo)) {
    for (const message of messages) {
      const position = positionOf(message);
      if (position) yield { position, us: ingestedUs(message) };
    }
  }
}
