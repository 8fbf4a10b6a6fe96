import { type CommitReply, refuseCommit } from "../../../shared/protocol/commit.ts";
import { domainOf } from "../../../shared/protocol/subjects.ts";
import { eventEntry } from "../log-entry.ts";
import { countEvents, type LogState, laneOf, nextPosition, nextTakenMs } from "../log-state.ts";
import type { BatchPlan, PlanInit } from "../plan-batch.ts";
import { judgeCommit, storedAt } from "./judge-commit.ts";
import { isLate, type WaitingCommit } from "./waiting-commits.ts";

/** A commit and what it will be answered: once the batch it was judged in is stored, or the log was looked at. */
export interface JudgedCommit {
  readonly waiting: WaitingCommit;
  readonly reply: CommitReply;
}

/** Judges a commit where the batch stands by now, and puts it in if it is taken. */
export function planCommit(state: LogState, waiting: WaitingCommit, init: PlanInit, plan: BatchPlan): void {
  const { reign, rules, versions, nowMs } = init;
  const { commit, node } = waiting;
  const { event, aggregate } = commit;
  const judgement = judgeCommit(
    commit,
    {
      known: state.commits.get(event.id),
      version: versions.get(aggregate),
      isLate: isLate(waiting, nowMs),
    },
    rules,
  );
  if (judgement.kind === "unread") {
    plan.unread.push(waiting);
    return;
  }
  if (judgement.kind === "said") {
    plan.commits.push({ waiting, reply: judgement.reply });
    return;
  }
  if (laneOf(state, node).retired) {
    // What comes after a retirement counts as behind all of that node's: first it has to begin anew.
    const why = `${node} was retired, and takes writes once its daemon has greeted the hub; send it again`;
    plan.commits.push({ waiting, reply: refuseCommit("unavailable", why) });
    return;
  }
  const position = nextPosition(state, reign);
  const { index } = position;
  const seq = state.lastSeq + plan.messages.length + 1;
  const origin = { node, incarnation: reign.epoch, lane: "c", seq: index } as const;
  const ms = nextTakenMs(state, nowMs);
  plan.messages.push(eventEntry(event, origin, position, ms));
  versions.write(aggregate, index);
  state.commits.note(event.id, { seq, index, subject: event.subject, ms });
  const domain = domainOf(event.subject);
  countEvents(state, domain, node);
  plan.logged.push({ domain, node, appendedUs: event.timeUs });
  plan.commits.push({ waiting, reply: storedAt(rules.hub, seq, index) });
}
