import type { Conditions } from "../../shared/observe/conditions.ts";
import type { FleetNode } from "./fleet.ts";
import { type LagCourse, LagFollowed, NO_LAG } from "./lag-course.ts";
import type { ReplicationView } from "./replication-view.ts";

/** Events younger than that are on their way, not late. */
const LATE_S = 2;
/** The longest that a busy but healthy lane stands still: a slow disk's sync, a block on a slow link. */
const STANDS_STILL_MS = 5000;

/** What a lag is taken for. */
export interface JudgedLag {
  readonly course: LagCourse;
  readonly state: "in-sync" | "lagging" | "stalled";
}

const IN_SYNC: JudgedLag = { course: NO_LAG, state: "in-sync" };

/** In conditions and here: what a copy's lag goes by; an origin's by its node's name. */
const copySubject = (node: string): string => `copy on ${node}`;

/** Says which origins and copies lag, and which stand still though their link is up. */
export class LagWatch {
  readonly #followed = new Map<string, LagFollowed>();
  readonly #judged = new Map<string, JudgedLag>();

  judge(view: ReplicationView, nodes: readonly FleetNode[], conditions: Conditions, nowMs: number): void {
    const up = new Set(nodes.filter(({ link }) => link.up).map(({ name }) => name));
    for (const { node, logged, lagEvents, lagSeconds } of view.origins) {
      const facts = { at: logged, events: lagEvents ?? 0, seconds: lagSeconds ?? 0, linked: up.has(node) };
      this.#set(conditions, node, node, facts, nowMs);
    }
    for (const { node, index, lagEvents, lagSeconds } of view.copies) {
      const facts = { at: index, events: lagEvents, seconds: lagSeconds, linked: up.has(node) };
      this.#set(conditions, copySubject(node), `The copy on ${node}`, facts, nowMs);
    }
  }

  /** As it was judged last. */
  ofOrigin(node: string): JudgedLag {
    return this.#judged.get(node) ?? IN_SYNC;
  }

  ofCopy(node: string): JudgedLag {
    return this.#judged.get(copySubject(node)) ?? IN_SYNC;
  }

  #set(
    conditions: Conditions,
    subject: string,
    origin: string,
    facts: { at: number; events: number; seconds: number; linked: boolean },
    nowMs: number,
  ): void {
    let followed = this.#followed.get(subject);
    if (!followed) {
      followed = new LagFollowed();
      this.#followed.set(subject, followed);
    }
    const course = followed.look(facts.at, facts.events, nowMs);
    const late = facts.events > 0 && facts.seconds > LATE_S;
    const still = late && facts.linked && course.stillMs > STANDS_STILL_MS;
    const state = still ? "stalled" : facts.events > 0 ? "lagging" : "in-sync";
    this.#judged.set(subject, { course, state });
    const detail = { origin, events: facts.events, seconds: Math.round(facts.seconds) };
    conditions.set(late && !still, "lagging", detail, subject);
    conditions.set(still, "stalled", { origin, reason: "" }, subject);
  }
}
