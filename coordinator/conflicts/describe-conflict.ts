import { isDeepStrictEqual } from "node:util";
import { nodeOfLane } from "../../shared/consistency/clock/version-vector.ts";
import type { FoldEvent } from "../../shared/consistency/resolve/fold-event.ts";
import type { Conflict, VersionRef } from "../../shared/consistency/resolve/resolver.ts";
import { formatLogPosition, type LogPosition } from "../../shared/protocol/reign.ts";
import type { ConflictRecord, ConflictVersion } from "./conflict-record.ts";
import { whyOf } from "./why-of.ts";

/** A conflict that an event met when it was folded, in the log's order. */
export interface NotedConflict {
  readonly conflict: Conflict;
  readonly event: Pick<FoldEvent, "domain" | "aggregate" | "ingestMs">;
  /** The event's. */
  readonly position: LogPosition;
  readonly resolver: string;
}

/** Of a longer value, bytes of its JSON, the journal says only how long it was. */
export const MAX_VALUE_BYTES = 32 * 1024;

/**
 * What the journal keeps of them. The same log gives the same records, whoever folds it and however it is cut into batches:
 * all conflicts of one event must be given at once. Pure.
 */
export function describeConflicts(noted: readonly NotedConflict[]): ConflictRecord[] {
  const records: ConflictRecord[] = [];
  let [index, n] = [0, 0];
  for (const { conflict, event, position, resolver } of noted) {
    if (position.index !== index) [index, n] = [position.index, 0];
    if (!differs(conflict)) continue;
    n += 1;
    const { kind, rule, certain } = conflict;
    const path = [...conflict.path];
    const winner = versionOf(conflict.winner);
    const loser = versionOf(conflict.loser);
    records.push({
      v: 1,
      id: `${index}.${n}`,
      log: formatLogPosition(position),
      atMs: event.ingestMs,
      domain: event.domain,
      aggregate: event.aggregate,
      resolver,
      path,
      kind,
      rule,
      certain,
      winner,
      loser,
      why: whyOf({ path, kind, rule, certain, winner, loser }),
    });
  }
  return records;
}

/** Who wrote the same as another one has lost nothing. */
function differs({ winner, loser }: Conflict): boolean {
  return !winner || !loser || !isDeepStrictEqual(winner.value, loser.value);
}

/** `order` of a stamp is from here on where a clock was ahead, and below 0 where an event came too late (`effectiveTime`). */
const AHEAD = 2 ** 32;

function versionOf(ref: VersionRef | undefined): ConflictVersion | null {
  if (!ref) return null;
  const { id, dot, stamp, value } = ref;
  const bytes = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
  return {
    event: id,
    node: nodeOfLane(dot.lane),
    dot: `${dot.lane}:${dot.seq}`,
    countsMs: stamp.ms,
    order: stamp.order,
    bound: stamp.order >= AHEAD ? "ahead" : stamp.order < 0 ? "late" : null,
    ...(bytes > MAX_VALUE_BYTES ? { cutBytes: bytes } : value !== undefined && { value }),
  };
}
