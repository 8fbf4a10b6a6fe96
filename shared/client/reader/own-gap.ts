import type { NatsConnection } from "@nats-io/transport-node";
import { marksWhere } from "../../follow/find-in-log.ts";
import type { StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import {
  ALL_DOMAINS,
  followsDomain,
  type MarksRecord,
  marksRecord,
  OTHER_DOMAINS,
  readRecord,
} from "../../protocol/control-records.ts";
import { STREAM } from "../../protocol/names.ts";
import { controlRecordSubject } from "../../protocol/subjects.ts";
import { EventsGone } from "./reader-errors.ts";

/** Own events that were trimmed, and what a reader knows of them. */
export interface OwnGap {
  readonly node: string;
  /** The outbox begins there. */
  readonly first: number;
  /** Up to where own events were read, in the outbox or as the log has them. 0: it is not known. */
  readonly readTo: number;
  /** Up to where the log is known to have come here. */
  readonly backTo: number;
  /** Domains that this log or copy has, where the reader stands. */
  readonly live: readonly string[];
  /** Domains that are read; undefined: all. */
  readonly domains: readonly string[] | undefined;
}

/**
 * Whether what was trimmed has been read in the log, when all was read that the log had. Pure.
 * `wait`: the copy has these domains, but has not come as far. `doubtful`: it does not have them.
 */
export function judgeGap({ first, readTo, backTo, live, domains }: OwnGap): "closed" | "wait" | "doubtful" {
  if (readTo + 1 >= first || live.includes(ALL_DOMAINS)) return "closed";
  if (domains?.every((domain) => followsDomain(live, domain)))
    // An outbox is not trimmed of what a copy of everything lacks. One of some domains may be behind.
    return backTo + 1 >= first ? "closed" : "wait";
  return readTo === 0 ? "closed" : "doubtful";
}

/** @throws EventsGone unless the log's own counts say that none of these was of a domain that is read */
export async function refuseGap(
  nc: NatsConnection,
  gap: OwnGap,
  history: StreamHistory | undefined,
): Promise<void> {
  const { node, first, readTo, domains } = gap;
  if (readTo === 0 || readTo + 1 >= first) return;
  if (domains && history && (await nothingCounted(nc, gap, history, domains))) return;
  throw new EventsGone(
    `${node}: the reader has own events up to ${readTo}, the outbox begins at ${first}, and it is not certain that the copy has what is between`,
  );
}

/** By the counts in the marks that enclose the gap. */
async function nothingCounted(
  nc: NatsConnection,
  { node, first, readTo }: OwnGap,
  history: StreamHistory,
  domains: readonly string[],
): Promise<boolean> {
  const laneOf = (record: MarksRecord | undefined) => record?.lanes.find((lane) => lane.node === node);
  const seqOf = (record: MarksRecord) => laneOf(record)?.mark.seq ?? 0;
  const { marks: before } = await marksWhere(nc, history, (record) => seqOf(record) > readTo);
  const { nextSeq } = await marksWhere(nc, history, (record) => seqOf(record) + 1 >= first);
  const next = await getMessage(nc, STREAM.events, { seq: nextSeq });
  const newest = await getMessage(nc, STREAM.events, { last_by_subj: controlRecordSubject("marks") });
  const [from, to, now] = [
    before?.record,
    next && readRecord(marksRecord, next),
    newest && readRecord(marksRecord, newest),
  ];
  // Marks of an outbox that was replaced count in other numbers.
  const incarnation = laneOf(now)?.incarnation;
  if (!from || !to || incarnation === undefined) return false;
  if (laneOf(from)?.incarnation !== incarnation || laneOf(to)?.incarnation !== incarnation) return false;
  return domains.every((domain) => countOf(from, node, domain) === countOf(to, node, domain));
}

function countOf({ totals }: MarksRecord, node: string, domain: string): number {
  const isMeant = ([of, origin]: readonly [string, string, number]) =>
    origin === node && (of === domain || of === OTHER_DOMAINS);
  return totals.filter(isMeant).reduce((sum, [, , events]) => sum + events, 0);
}
