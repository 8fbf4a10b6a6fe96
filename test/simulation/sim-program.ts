import { type Commit, readCommit } from "../../coordinator/sequencer/commits/read-commit.ts";
import type { CommitReply } from "../../shared/protocol/commit.ts";
import type { Environment } from "./environment.ts";
import { bodyOf } from "./uid.ts";

/** A commit that a program wanted, and what it was told. */
export interface CommitAttempt {
  readonly uid: number;
  readonly node: string;
  readonly subject: string;
  /** undefined: at any version. */
  readonly expected: number | undefined;
  /** What was answered first; undefined: nothing, however often it was sent. */
  told: { readonly version: number } | { readonly refused: string } | undefined;
  toldAtMs: number | undefined;
  /** What was answered later, and otherwise. */
  readonly contradictions: string[];
}

export interface SimProgramInit {
  readonly env: Environment;
  readonly node: string;
  readonly attempts: CommitAttempt[];
  readonly nextUid: () => number;
  readonly send: (commit: Commit, onReply: (reply: CommitReply) => void) => void;
}

const ANSWER_TIMEOUT_MS = 150;
const MOST_SENT = 8;

/** A program on a leaf that commits to aggregates which programs elsewhere commit to as well, and sends again what is not answered. */
export class SimProgram {
  readonly #init: SimProgramInit;
  /** Versions as it was told them. */
  readonly #known = new Map<string, number>();

  constructor(init: SimProgramInit) {
    this.#init = init;
  }

  commit(): void {
    const { env, node, attempts, nextUid } = this.#init;
    const uid = nextUid();
    const aggregate = env.random.pick(["x", "y"]);
    const subject = `cim.events.strong.${aggregate}.${env.random.pick(["Happened", "Ended"])}`;
    const expected = env.random.chance(0.2) ? undefined : (this.#known.get(aggregate) ?? 0);
    const attempt: CommitAttempt = {
      uid,
      node,
      subject,
      expected,
      told: undefined,
      toldAtMs: undefined,
      contradictions: [],
    };
    attempts.push(attempt);
    const version = expected === undefined ? "" : `Cim-Expected-Version: ${expected}\r\n`;
    const headerText = `Nats-Msg-Id: commit-${uid}\r\n${version}`;
    const commit = readCommit({ subject }, headerText, bodyOf(uid, 20), env.scheduler.nowMs * 1000);
    if ("error" in commit) throw new Error(commit.error.description);
    env.trace(() => `${node} commits ${uid} to ${aggregate} at ${expected ?? "any"}`);
    this.#send(attempt, commit, aggregate, 1);
  }

  #send(attempt: CommitAttempt, commit: Commit, aggregate: string, times: number): void {
    const { env, send } = this.#init;
    let open = true;
    const again = (afterMs: number) =>
      env.scheduler.after(afterMs, () => {
        if (!open || attempt.told) return;
        open = false;
        if (times < MOST_SENT) this.#send(attempt, commit, aggregate, times + 1);
      });
    send(commit, (reply) => {
      env.trace(() => `${attempt.node} was told of ${attempt.uid}: ${JSON.stringify(reply)}`);
      if ("error" in reply && reply.refusal === "unavailable") again(20);
      else this.#hear(attempt, aggregate, reply);
    });
    again(ANSWER_TIMEOUT_MS);
  }

  #hear(attempt: CommitAttempt, aggregate: string, reply: CommitReply): void {
    const version = "error" in reply ? reply.actual : reply.version;
    if (version !== undefined) this.#known.set(aggregate, version);
    const told = "error" in reply ? { refused: reply.refusal } : { version: reply.version };
    if (!attempt.told) {
      attempt.told = told;
      attempt.toldAtMs = this.#init.env.scheduler.nowMs;
    } else if (JSON.stringify(attempt.told) !== JSON.stringify(told))
      attempt.contradictions.push(`${JSON.stringify(attempt.told)}, then ${JSON.stringify(told)}`);
  }
}
