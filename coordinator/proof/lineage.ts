import type { NatsConnection } from "@nats-io/transport-node";
import type { LaneSegment } from "../../shared/follow/proof/stored-events.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { laneRecord, readRecord, refusedRecord } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";

interface LaneStart {
  readonly incarnation: number;
  readonly predecessor: number;
  readonly common: number;
}

/**
 * Under which incarnation the log has each sequence of an outbox as it is now: one that was put back shares with the one
 * before it what came up to their common event, and so on backwards. Pure.
 */
export function lineageOf(starts: readonly LaneStart[], incarnation: number): LaneSegment[] {
  const segments: LaneSegment[] = [];
  let upTo = Number.MAX_SAFE_INTEGER;
  for (let at = incarnation; at > 0 && upTo > 0; ) {
    const start = starts.find((one) => one.incarnation === at);
    const after = Math.min(start?.common ?? 0, upTo);
    if (after < upTo) segments.push({ incarnation: at, after, upTo });
    upTo = after;
    at = start?.predecessor ?? 0;
  }
  return segments;
}

/** What of a node's lanes the log says in records. */
export interface LaneRecords {
  readonly starts: readonly LaneStart[];
  /** Sequences that were refused, of any incarnation. */
  readonly refused: readonly number[];
}

/** @throws the client's errors */
export async function readLaneRecords(
  nc: NatsConnection,
  inboxPrefix: string,
  node: string,
): Promise<LaneRecords> {
  const read = async (kind: "lane" | "refused") =>
    await getMessages(
      nc,
      STREAM.events,
      { seq: 1, next_by_subj: controlRecordSubject(kind) },
      { inboxPrefix },
    );
  const [lanes, refusals] = [await read("lane"), await read("refused")];
  return {
    starts: lanes.flatMap((message) => {
      const record = readRecord(laneRecord, message);
      if (record?.node !== node) return [];
      return [
        { incarnation: record.incarnation, predecessor: record.predecessor, common: record.common.seq },
      ];
    }),
    refused: refusals.flatMap((message) => {
      const record = readRecord(refusedRecord, message);
      return record?.node === node ? [record.seq] : [];
    }),
  };
}
