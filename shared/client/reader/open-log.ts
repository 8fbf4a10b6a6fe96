import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { isLogItself, readCopyRecord, WHOLE_LOG } from "../../follow/copy-record.ts";
import { marksWhere } from "../../follow/find-in-log.ts";
import { readReignHistory, type StreamHistory } from "../../follow/read-history.ts";
import { getLastUpTo, getMessage, getMessages } from "../../nats/get-message.ts";
import { unlessMissing } from "../../nats/jetstream-api.ts";
import {
  type CopyRecord,
  copyRecord,
  type MarksRecord,
  marksRecord,
  readRecord,
} from "../../protocol/control-records.ts";
import { headerValue } from "../../protocol/headers.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject } from "../../protocol/subjects.ts";
import { knownHistory, type Standing } from "./checkpoint.ts";
import { cutBehind, frontierOf, leastRead, leastReadElsewhere, type ReadSoFar } from "./frontier.ts";
import type { RecordInStream } from "./log-course.ts";
import { continuationOf, type LogContinuation } from "./log-place.ts";
import { EventsGone, ReaderAhead } from "./reader-errors.ts";

export interface LogStart {
  readonly startSeq: number;
  readonly history: StreamHistory;
  /** What of this log was read, the parts that another log has in their place taken off. */
  readonly read: ReadSoFar;
  /**
   * Index up to which all own events were read with the log, or come from it here; and up to which those of some domains
   * were. undefined: those before `startSeq`.
   */
  readonly ownUpTo?: { readonly all: number; readonly some: number };
}

export interface LogSearch {
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly notice: (line: string) => void;
  /** Domains that are read; undefined: all. */
  readonly domains: readonly string[] | undefined;
}

const LOOK_EVERY_MS = 250;
const ANSWERS = { inboxPrefix: "_INBOX" };

/** This node's log or copy, as it is now; undefined: it keeps none. */
export async function logHistory(nc: NatsConnection): Promise<StreamHistory | undefined> {
  return await unlessMissing(readReignHistory({ nc, inboxPrefix: "_INBOX" }));
}

export interface StreamRecords {
  /** Of the stream's domains, in force at a sequence; undefined: it says nothing of them. */
  readonly copy: CopyRecord | undefined;
  /** From there on, oldest first. */
  readonly later: readonly RecordInStream[];
  /** The newest marks of all nodes' events before it. */
  readonly marks: MarksRecord | undefined;
}

/** What the stream says of itself, seen from a sequence. */
export async function recordsAround(nc: NatsConnection, seq: number): Promise<StreamRecords> {
  const [copySubject, marksSubject] = [controlRecordSubject("copy"), controlRecordSubject("marks")];
  const found = await getLastUpTo(nc, STREAM.events, [copySubject, marksSubject], seq - 1, ANSWERS);
  const copy = found.find(({ subject }) => subject === copySubject);
  const marks = found.find(({ subject }) => subject === marksSubject);
  const behind = await getMessages(nc, STREAM.events, { seq, next_by_subj: copySubject }, ANSWERS);
  const isWhole = !copy && behind.length === 0 && (await isLogItself(nc));
  return {
    copy: copy ? readRecord(copyRecord, copy) : isWhole ? WHOLE_LOG : undefined,
    later: behind.flatMap((message) => {
      const record = readRecord(copyRecord, message);
      return record ? [{ seq: message.seq, record }] : [];
    }),
    marks: marks && readRecord(marksRecord, marks),
  };
}

/**
 * From where a standing goes on in this node's stream. Where it stands behind a message of this very stream, there. Else
 * behind the last record of marks before anything unread: the numbers of a copy do not grow along its stream, but before
 * such a record there is nothing higher.
 *
 * @throws ReaderAhead it has not come as far within `waitMs`
 * @throws EventsGone
 */
export async function findLogStart(
  nc: NatsConnection,
  node: string,
  standing: Standing,
  search: LogSearch,
): Promise<LogStart | undefined> {
  const until = performance.now() + search.waitMs;
  for (;;) {
    const history = await logHistory(nc);
    const at = parseLogPosition(standing.log);
    if (!at) return history && { startSeq: Math.max(1, history.firstSeq), history, read: standing.read };
    const next: LogContinuation = history
      ? continuationOf(knownHistory(standing, at), at, history)
      : { kind: "ahead", reason: `the reader stands in the log, and ${node} keeps none` };
    const read = next.kind === "behind" ? cutBehind(standing.read, next.index) : standing.read;
    const { local } = standing;
    if (history && local?.node === node) {
      const there = await getMessage(nc, STREAM.events, { seq: local.seq });
      if (there && headerValue(there.headerText, HEADER.log) === local.log)
        return { startSeq: local.seq + 1, history, read };
    }
    if (next.kind === "gone") throw new EventsGone(`${node}: ${next.reason}`);
    if (next.kind === "behind" && history) {
      if (next.again !== undefined) search.notice(`${node}: ${next.again}`);
      return await startBehind(nc, node, { history, read, index: next.index }, search);
    }
    if (performance.now() >= until || search.signal.aborted) {
      const reason = next.kind === "ahead" ? next.reason : "";
      throw new ReaderAhead(
        `${node}: ${reason}; waited ${search.waitMs} ms for it: wait until the node is filled, or read elsewhere`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: search.signal }).catch(() => undefined);
  }
}

async function startBehind(
  nc: NatsConnection,
  node: string,
  stand: { readonly history: StreamHistory; readonly read: ReadSoFar; readonly index: number },
  { domains, notice }: LogSearch,
): Promise<LogStart> {
  const { history, read, index } = stand;
  const copy = (await readCopyRecord(nc)) ?? WHOLE_LOG;
  const held = [...copy.live, ...(copy.filling?.domains ?? [])];
  const frontier = frontierOf(read);
  const unreadFrom = Math.min(index, leastRead(frontier, domains, held));
  const first = history.reigns[0]?.index ?? 1;
  if (unreadFrom > 0 && unreadFrom + 1 < first)
    throw new EventsGone(
      `${node}: the reader had some domains only up to ${unreadFrom}, the log begins at ${first} here: retention let go of what is between`,
    );
  // Own events that are in this log come from it, each as far as its domain was read; others only from the outbox.
  const ownUpTo = Math.min(index, leastReadElsewhere(frontier, domains, held));
  if (ownUpTo < index)
    notice(
      `${node}: neither this copy nor the one that the checkpoint is of has all domains: own events that the log took shortly before ${index} may come again`,
    );
  const { marks } = await marksWhere(nc, history, (_, at) => at > unreadFrom);
  return {
    startSeq: marks ? marks.seq + 1 : Math.max(1, history.firstSeq),
    history,
    read,
    ownUpTo: { all: ownUpTo, some: index },
  };
}
