import type { Conditions } from "../../shared/observe/conditions.ts";
import type { FleetNode } from "./fleet.ts";
import type { ReplicationView } from "./replication-view.ts";

/** Events younger than that are on their way, not late. */
const LATE_S = 2;
/** The longest that a busy but healthy lane stands still: a slow disk's sync, a block on a slow link. */
const STANDS_STILL_MS = 5000;

interface Progress {
  readonly at: number;
  readonly sinceMs: number;
}

/** Says which origins and copies lag, and which stand still though their link is up. */
export class LagWatch {
  readonly #progress = new Map<string, Progress>();

  judge(view: ReplicationView, nodes: readonly FleetNode[], conditions: Conditions, nowMs: number): void {
    const up = new Set(nodes.filter(({ link }) => link.up).map(({ name }) => name));
    for (const { node, logged, lagEvents, lagSeconds } of view.origins) {
      const facts = { at: logged, events: lagEvents ?? 0, seconds: lagSeconds ?? 0, linked: up.has(node) };
      this.#set(conditions, node, node, facts, nowMs);
    }
    for (const { node, index, lagEvents, lagSeconds } of view.copies) {
      const facts = { at: index, events: lagEvents, seconds: lagSeconds, linked: up.has(node) };
      this.#set(conditions, `copy on ${node}`, `The copy on ${node}`, facts, nowMs);
    }
  }

  #set(
    conditions: Conditions,
    subject: string,
    origin: string,
    facts: { at: number; events: number; seconds: number; linked: boolean },
    nowMs: number,
  ): void {
    const before = this.#progress.get(subject);
    const moved = !before || before.at !== facts.at || facts.events === 0;
    const progress = moved ? { at: facts.at, sinceMs: nowMs } : before;
    this.#progress.set(subject, progress);
    const late = facts.events > 0 && facts.seconds > LATE_S;
    const still = late && facts.linked && nowMs - progress.sinceMs > STANDS_STILL_MS;
    const detail = { origin, events: facts.events, seconds: Math.round(facts.seconds) };
    conditions.set(late && !still, "lagging", detail, subject);
    conditions.set(still, "stalled", { origin, reason: "" }, subject);
  }
}
