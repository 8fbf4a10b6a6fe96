import { isDeepStrictEqual } from "node:util";
import { boundOf } from "../../shared/consistency/clock/stamp.ts";
import { nodeOfLane } from "../../shared/consistency/clock/version-vector.ts";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import type { Conflict, VersionRef } from "../../shared/consistency/resolve/resolver.ts";
import { formatLogPosition } from "../../shared/protocol/reign.ts";
import type { ConflictRecord, ConflictVersion } from "./conflict-record.ts";
import { whyOf } from "./why-of.ts";

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
    bound: boundOf(stamp),
    ...(bytes > MAX_VALUE_BYTES ? { cutBytes: bytes } : value !== undefined && { value }),
  };
}
