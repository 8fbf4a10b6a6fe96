import { formatReign } from "../../shared/protocol/reign.ts";
import type { Finding } from "../proof/finding.ts";
import type { ScrubView } from "../proof/scrub-progress.ts";
import type { LogState } from "../sequencer/log-state.ts";
import type { FleetNode } from "./fleet.ts";
import type { IngestTimes } from "./ingest-times.ts";
import type { JudgedLag } from "./lag-watch.ts";
import { type Proven, provenOf } from "./proven.ts";

/** How far an origin's events are on their way into the log, and whether the log has what the outbox has. */
export interface OriginLag extends Proven {
  readonly node: string;
  readonly incarnation: number;
  /** Outbox sequence up to which the log has it. */
  readonly logged: number;
  readonly outboxLast: number | null;
  /** Upper bound: sequences deleted from the outbox count too. null: the node has not been heard. */
  readonly lagEvents: number | null;
  /** Age of its oldest event that the log does not have, seconds. */
  readonly lagSeconds: number | null;
}

/** How far a copy is behind the log, and whether it has what the log has up to there. */
export interface CopyLag extends Proven {
  readonly node: string;
  readonly domains: readonly string[];
  readonly index: number;
  readonly reign: string | null;
  /** Messages of the log, of any domain. */
  readonly lagEvents: number;
  readonly lagSeconds: number;
}

export interface ReplicationView {
  readonly reign: string | null;
  readonly log: { readonly index: number; readonly events: number; readonly refused: number };
  readonly origins: readonly OriginLag[];
  readonly copies: readonly CopyLag[];
  /** The reading of all that is stored, bodies too, from the disks. */
  readonly scrub: ScrubView;
}

/** What is known of how things stand. */
export interface ReplicationFacts {
  readonly state: LogState | undefined;
  readonly nodes: readonly FleetNode[];
  readonly times: IngestTimes;
  readonly nowMs: number;
  readonly lag: { ofOrigin(node: string): JudgedLag; ofCopy(node: string): JudgedLag };
  readonly finding: (node: string, of: Finding["of"]) => Finding | undefined;
  readonly scrub: ScrubView;
}

/** Draws the lag of every origin and copy from what is known. Pure. */
export function replicationView(facts: ReplicationFacts): ReplicationView {
  const { state, nodes, times, nowMs, lag, finding, scrub } = facts;
  const index = state?.position?.index ?? 0;
  const origins: OriginLag[] = [];
  const copies: CopyLag[] = [];
  for (const { name, heartbeat, silentForMs } of nodes) {
    const lane = state?.lanes.get(name);
    const logged = lane?.mark.seq ?? 0;
    const lagEvents = heartbeat ? Math.max(0, heartbeat.outbox.last - logged) : null;
    const sinceSentS = (silentForMs ?? 0) / 1000;
    const waitedS = heartbeat ? heartbeat.outbox.oldestUnshippedS : 0;
    origins.push({
      node: name,
      incarnation: lane?.incarnation ?? 0,
      logged,
      outboxLast: heartbeat?.outbox.last ?? null,
      lagEvents,
      lagSeconds: lagEvents === null ? null : lagEvents === 0 || waitedS === 0 ? 0 : waitedS + sinceSentS,
      ...provenOf(lagEvents, lag.ofOrigin(name), finding(name, "outbox")),
    });
    if (!heartbeat?.copy) continue;
    const behind = Math.max(0, index - heartbeat.copy.index);
    const since = behind === 0 ? undefined : times.firstAfter(heartbeat.copy.index);
    copies.push({
      node: name,
      domains: heartbeat.copy.domains,
      index: heartbeat.copy.index,
      reign: heartbeat.copy.reign && formatReign(heartbeat.copy.reign),
      lagEvents: behind,
      lagSeconds: since === undefined ? 0 : Math.max(0, nowMs - since) / 1000,
      ...provenOf(behind, lag.ofCopy(name), finding(name, "copy")),
    });
  }
  return {
    reign: state?.position ? formatReign(state.position.reign) : null,
    log: { index, events: totalOf(state), refused: sum(state?.refusedTotals.values()) },
    origins,
    copies,
    scrub,
  };
}

function totalOf(state: LogState | undefined): number {
  let total = 0;
  for (const byNode of state?.totals.values() ?? []) total += sum(byNode.values());
  return total;
}

function sum(values: Iterable<number> | undefined): number {
  let total = 0;
  for (const value of values ?? []) total += value;
  return total;
}
