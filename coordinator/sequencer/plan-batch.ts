import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import type { Refusal } from "../../shared/protocol/messages.ts";
import { printOf } from "../../shared/protocol/origin.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { domainOf } from "../../shared/protocol/subjects.ts";
import type { AggregateVersions } from "./commits/aggregate-versions.ts";
import type { CommitRules } from "./commits/judge-commit.ts";
import { type JudgedCommit, planCommit } from "./commits/plan-commit.ts";
import type { WaitingCommit } from "./commits/waiting-commits.ts";
import type { Portion, Waiting } from "./fair-queue.ts";
import { judgeEvent, type LogRules } from "./judge-event.ts";
import { controlEntry, eventEntry } from "./log-entry.ts";
import {
  beginLane,
  countEvents,
  type LogState,
  laneOf,
  nextPosition,
  nextTakenMs,
  noteRefused,
  retireLane,
} from "./log-state.ts";

/** What was durably added to the log, for counting. */
export interface Logged {
  readonly domain: string;
  readonly node: string;
  readonly appendedUs: number;
}

export interface RefusedOf {
  readonly node: string;
  readonly refusal: Refusal;
}

/** What a batch will have done once it is stored. */
export interface BatchPlan {
  readonly messages: OutgoingMessage[];
  readonly logged: Logged[];
  readonly refused: RefusedOf[];
  readonly commits: JudgedCommit[];
  /** Commits whose aggregate's version has to be read first. */
  readonly unread: WaitingCommit[];
}

export interface PlanInit {
  readonly reign: Reign;
  readonly rules: LogRules & CommitRules;
  readonly versions: AggregateVersions;
  readonly nowMs: number;
}

/** Turns portions into the log's next messages, and the state into what it is once they are stored. */
export function planBatch(state: LogState, portions: readonly Portion[], init: PlanInit): BatchPlan {
  const plan: BatchPlan = { messages: [], logged: [], refused: [], commits: [], unread: [] };
  for (const { node, waiting, from, to } of portions) {
    if (waiting.kind === "commit") planCommit(state, waiting, init, plan);
    else if (waiting.kind === "incarnate") planIncarnation(state, node, waiting, init, plan);
    else if (waiting.kind === "retire") planRetirement(state, node, init, plan);
    else planBlock(state, { node, waiting, from, to }, init, plan);
  }
  return plan;
}

function planIncarnation(
  state: LogState,
  node: string,
  { predecessor, common }: Extract<Waiting, { kind: "incarnate" }>,
  { reign }: PlanInit,
  { messages }: BatchPlan,
): void {
  const incarnation = predecessor + 1;
  const position = nextPosition(state, reign);
  messages.push(controlEntry("lane", { node, incarnation, predecessor, common }, position));
  beginLane(state, node, incarnation, common);
}

function planRetirement(state: LogState, node: string, { reign }: PlanInit, { messages }: BatchPlan): void {
  messages.push(controlEntry("retired", { node }, nextPosition(state, reign)));
  retireLane(state, node);
}

function planBlock(
  state: LogState,
  {
    node,
    waiting,
    from,
    to,
  }: Omit<Portion, "waiting" | "whole"> & { waiting: Extract<Waiting, { kind: "block" }> },
  { reign, rules, nowMs }: PlanInit,
  { messages, logged, refused }: BatchPlan,
): void {
  const position = () => nextPosition(state, reign);
  const { incarnation } = waiting;
  const lane = laneOf(state, node);
  if (waiting.hole && from === 0) {
    messages.push(controlEntry("hole", { node, incarnation, ...waiting.hole }, position()));
  }
  for (let i = from; i < to; i++) {
    const event = waiting.events[i] as (typeof waiting.events)[number];
    const reason = judgeEvent(event, rules);
    if (reason === undefined) {
      const place = position();
      const origin = { node, incarnation, lane: "e", seq: event.seq } as const;
      messages.push(eventEntry(event, origin, place, nextTakenMs(state, nowMs)));
      const domain = domainOf(event.subject);
      countEvents(state, domain, node);
      logged.push({ domain, node, appendedUs: event.timeUs });
      continue;
    }
    const { seq, id } = event;
    const print = printOf(event);
    messages.push(controlEntry("refused", { node, incarnation, seq, print, id, reason }, position()));
    noteRefused(lane, { seq, print, reason });
    state.refusedTotals.set(reason, (state.refusedTotals.get(reason) ?? 0) + 1);
    refused.push({ node, refusal: { seq, print, reason } });
  }
  const last = waiting.events[to - 1];
  if (!last) return;
  lane.mark = { seq: last.seq, print: printOf(last) };
  lane.top = Math.max(lane.top, last.seq);
}
