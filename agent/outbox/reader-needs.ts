import type { NatsConnection } from "@nats-io/transport-node";
import { decodeCheckpoint } from "../../shared/client/reader/checkpoint.ts";
import { readRecords } from "../../shared/client/reader/record-store.ts";
import { filtersOf } from "../../shared/client/reader/subscribe-options.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { SUBJECT } from "../../shared/protocol/subjects.ts";
import type { ReaderNeed } from "./trim-rule.ts";

/** What the durable names of a node have yet to read in its outbox. */
export async function readerNeeds(nc: NatsConnection, node: string): Promise<ReaderNeed[]> {
  const needs: ReaderNeed[] = [];
  for (const { record, timeUs } of await readRecords(nc, SUBJECT.readers)) {
    if (record?.kind !== "reader") continue;
    const after = ownSeq(record.checkpoint, node);
    const filters = filtersOf(record.filter);
    const subjects = filters.length === 0 ? [SUBJECT.allEvents] : filters;
    const unread = await Promise.all(
      subjects.map((next_by_subj) => getMessage(nc, STREAM.outbox, { seq: after + 1, next_by_subj })),
    );
    const seqs = unread.flatMap((message) => message?.seq ?? []);
    needs.push({
      savedAtMs: timeUs / 1000,
      firstUnread: seqs.length === 0 ? undefined : Math.min(...seqs),
    });
  }
  return needs;
}

/** A checkpoint of a newer build is taken for one that has read nothing: the trim rule bounds what that costs. */
function ownSeq(checkpoint: string | undefined, node: string): number {
  try {
    const lanes = checkpoint === undefined ? [] : decodeCheckpoint(checkpoint).lanes;
    return lanes.find((lane) => lane.node === node)?.seq ?? 0;
  } catch {
    return 0;
  }
}
