import type { Commit } from "../../coordinator/sequencer/commits/read-commit.ts";
import { isMarks, LogFold, takeCommit } from "../../coordinator/sequencer/fold-log.ts";
import { emptyLogState, type LogState } from "../../coordinator/sequencer/log-state.ts";
import {
  SequencerMachine,
  type SequencerOutput,
  type SequencerSettings,
} from "../../coordinator/sequencer/sequencer-machine.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import { decodeBlock } from "../../shared/protocol/block.ts";
import { type CommitReply, commitAggregate, commitReply } from "../../shared/protocol/commit.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { loggedEvent } from "../../shared/protocol/logged-event.ts";
import { type IngestReply, ingestReply, ingestRequest } from "../../shared/protocol/messages.ts";
import { fenceSubject } from "../../shared/protocol/subjects.ts";
import { delayMs, type Environment, type Payload, type Respond } from "./environment.ts";
import { guardedWrite } from "./guarded-write.ts";
import { printOfLogged } from "./own-trail.ts";

const FENCES = fenceSubject("");

/** Reads a log as a coordinator does: from its newest marks record on, or all of it. */
export function readLog(messages: readonly StoredMessage[], whole = false): LogState {
  return foldLog(messages, whole).state;
}

function foldLog(
  messages: readonly StoredMessage[],
  whole = false,
): { state: LogState; foreign: StoredMessage[] } {
  const state = emptyLogState();
  const marks = whole ? undefined : newestMarks(messages);
  const startSeq = marks?.seq ?? 0;
  // As a coordinator reads them, before the marks.
  for (const message of messages) {
    const logged = message.seq < startSeq ? loggedEvent(message) : undefined;
    if (logged?.origin.lane === "c" && positionOf(message)) takeCommit(state.commits, logged, message);
  }
  const fold = new LogFold(state, marks ? undefined : 1);
  const foreign = messages.filter((message) => message.seq >= startSeq && !fold.take(message));
  if (!state.fence) {
    const fence = newestFence(messages.filter(({ seq }) => seq < startSeq));
    const newest = messages.findLast(({ subject }) => subject === fence?.subject);
    if (newest) state.fence = { subject: newest.subject, seq: newest.seq };
  }
  return { state, foreign };
}

/** Not counting what only stands on their subjects. */
export function newestMarks(messages: readonly StoredMessage[]): StoredMessage | undefined {
  return messages.findLast((message, i) => isMarks(message, directlyBefore(messages, i)));
}

export function newestFence(messages: readonly StoredMessage[]): StoredMessage | undefined {
  return messages.findLast((message) => message.subject.startsWith(FENCES) && positionOf(message));
}

function directlyBefore(messages: readonly StoredMessage[], at: number): StoredMessage | undefined {
  const before = messages[at - 1];
  return before && before.seq + 1 === messages[at]?.seq ? before : undefined;
}

/** A coordinator around the sequencer's machine: may be stopped, killed, paused and continued at any moment. */
export class SimCoordinator {
  readonly name: string;
  readonly #env: Environment;
  readonly #settings: Omit<SequencerSettings, "by" | "randomId" | "nowMs">;
  machine: SequencerMachine;
  wanted = false;
  paused = false;
  #run = 0;
  #rereading = false;
  #backlog: (() => void)[] = [];
  #respond = new Map<number, Respond>();
  #respondCommit = new Map<number, (reply: CommitReply) => void>();
  #nextToken = 1;
  /** Stepped over when the log was read last. */
  #foreign: StoredMessage[] = [];
  /** Events counted as the daemon's metrics count them. */
  counted = new Map<string, number>();

  constructor(
    name: string,
    env: Environment,
    settings: Omit<SequencerSettings, "by" | "randomId" | "nowMs">,
  ) {
    this.name = name;
    this.#env = env;
    this.#settings = settings;
    this.machine = this.#newMachine();
  }

  #newMachine(): SequencerMachine {
    const { random, scheduler } = this.#env;
    return new SequencerMachine({
      ...this.#settings,
      by: this.name,
      randomId: () => Math.floor(random.next() * 2 ** 32).toString(16),
      nowMs: () => scheduler.nowMs,
    });
  }

  lead(): void {
    if (this.wanted) return;
    this.#env.trace(() => `${this.name} wants to lead`);
    this.wanted = true;
    this.#reread(0);
  }

  stop(): void {
    if (!this.wanted) return;
    this.#env.trace(() => `${this.name} stops`);
    this.wanted = false;
    this.#carryOut(this.machine.stop());
  }

  /** Killed: all that was in memory is gone. */
  crash(): void {
    this.#env.trace(() => `${this.name} is killed`);
    this.#run += 1;
    this.wanted = false;
    this.paused = false;
    this.#rereading = false;
    this.#backlog = [];
    this.#respond.clear();
    this.#respondCommit.clear();
    this.#foreign = [];
    this.machine = this.#newMachine();
  }

  continue(): void {
    if (!this.paused) return;
    this.#env.trace(() => `${this.name} goes on`);
    this.paused = false;
    for (const what of this.#backlog.splice(0)) this.#alive(this.#run, what);
  }

  /** A request as it comes in; everybody who leads hears it. */
  receive(node: string, payload: Payload, respond: Respond): void {
    this.#alive(this.#run, () => {
      if (!this.wanted) return;
      const token = this.#nextToken++;
      this.#respond.set(token, respond);
      this.#carryOut(this.#dispatch(node, token, payload));
    });
  }

  /** A commit as it comes in; of those that listen the server tells one. */
  receiveCommit(node: string, commit: Commit, respond: (reply: CommitReply) => void): void {
    this.#alive(this.#run, () => {
      if (!this.wanted) return;
      const token = this.#nextToken++;
      this.#respondCommit.set(token, respond);
      this.#carryOut(this.machine.commit(node, token, commit));
    });
  }

  /** Looks where the log ends, as a coordinator does now and then. */
  look(): void {
    const { lastSeq } = this.#env.log;
    this.#later(() => this.#carryOut([...this.machine.expire(), ...this.machine.seen(lastSeq)]));
  }

  checkpoint(): void {
    this.#alive(this.#run, () => this.#carryOut(this.machine.checkpoint()));
  }

  #dispatch(node: string, token: number, payload: Payload): SequencerOutput[] {
    if ("block" in payload) return this.machine.block(node, token, decodeBlock(payload.block));
    const request = ingestRequest.parse(payload.request);
    switch (request.op) {
      case "hello":
        return this.machine.hello(node, token, request);
      case "prints":
        return this.machine.prints(node, token, request);
      case "incarnate":
        return this.machine.incarnate(node, token, request);
    }
  }

  #alive(run: number, what: () => void): void {
    if (run !== this.#run) return;
    if (this.paused) this.#backlog.push(what);
    else what();
  }

  /** In this process's own time: not after it was killed, and not while it is paused. */
  #later(what: () => void): void {
    const run = this.#run;
    this.#env.scheduler.after(delayMs(this.#env), () => this.#alive(run, what));
  }

  #carryOut(outputs: readonly SequencerOutput[]): void {
    for (const output of outputs) this.#do(output);
  }

  #do(output: SequencerOutput): void {
    const { log } = this.#env;
    const run = this.#run;
    switch (output.do) {
      case "write": {
        const server = this.#env.hubServerRun;
        this.#env.trace(() => `${this.name} writes ${output.messages.length} after ${output.expect.lastSeq}`);
        const gone = () => server !== this.#env.hubServerRun;
        guardedWrite(this.#env, log, output.messages, output.expect, gone, (result) =>
          this.#alive(run, () => {
            this.#env.trace(() => `${this.name} write: ${JSON.stringify(result)}`);
            this.#carryOut(this.machine.written(output.token, result));
          }),
        );
        return;
      }
      case "fence":
        this.#later(() => {
          const failed = this.#env.random.chance(this.#env.weather.failedReads);
          const newest = log.newestOf((subject) => subject === output.subject);
          const seen = failed ? undefined : { fenceSeq: newest?.seq ?? 0, lastSeq: log.lastSeq };
          this.#later(() => this.#carryOut(this.machine.fenced(output.token, seen)));
        });
        return;
      case "prints":
        this.#later(() => {
          const has = new Set(log.messages.map((message) => printOfLogged(output.node, message)));
          const known = output.request.marks.map(({ print }) => has.has(print));
          this.#later(() => this.#replyPrints(output.token, output.reign.id, known));
        });
        return;
      case "reply":
        this.#reply(output.token, output.reply);
        return;
      case "answer":
        this.#answer(output.token, output.reply);
        return;
      case "version":
        this.#later(() => {
          const failed = this.#env.random.chance(this.#env.weather.failedReads);
          const newest = log.newestOf((subject) => commitAggregate(subject) === output.aggregate);
          const purged = this.#env.purgedVersions.get(output.aggregate) ?? 0;
          const index = newest ? positionOf(newest)?.index : purged;
          this.#later(() =>
            this.#carryOut(
              this.machine.versionRead(output.token, output.aggregate, failed ? undefined : index),
            ),
          );
        });
        return;
      case "reread":
        this.#env.trace(() => `${this.name} reads again: ${output.reason}`);
        this.#reread(output.minEpoch);
        return;
      case "logged":
        for (const { domain, node } of output.events) {
          const key = `${domain} ${node}`;
          this.counted.set(key, (this.counted.get(key) ?? 0) + 1);
        }
        return;
      case "leading":
        this.#env.trace(() => `${this.name} leads ${output.reign.epoch}-${output.reign.id}`);
        this.#removeForeign(this.#foreign);
    }
  }

  /** The newest first, and no more of them when this process ends. */
  #removeForeign(foreign: readonly StoredMessage[], left = foreign): void {
    const last = left.at(-1);
    if (last)
      this.#later(() => {
        this.#env.log.delete(last.seq);
        this.#removeForeign(foreign, left.slice(0, -1));
      });
    else if (foreign === this.#foreign) this.machine.keepsReading = false;
  }

  #replyPrints(token: number, reignId: string, known: boolean[]): void {
    const reign = this.machine.reign;
    if (reign?.id === reignId) this.#reply(token, { kind: "prints", reign, known });
  }

  #reply(token: number, reply: IngestReply): void {
    const respond = this.#respond.get(token);
    this.#respond.delete(token);
    respond?.(ingestReply.parse(JSON.parse(JSON.stringify(reply))));
  }

  #answer(token: number, reply: CommitReply | undefined): void {
    const respond = this.#respondCommit.get(token);
    this.#respondCommit.delete(token);
    if (reply) respond?.(commitReply.parse(JSON.parse(JSON.stringify(reply))));
  }

  #reread(minEpoch: number): void {
    if (this.#rereading) return;
    this.#rereading = true;
    this.#later(() => {
      const { lastSeq } = this.#env.log;
      const messages = [...this.#env.log.messages];
      this.#later(() => {
        this.#rereading = false;
        if (!this.wanted) return;
        const { state, foreign } = foldLog(messages);
        state.lastSeq = Math.max(state.lastSeq, lastSeq);
        this.#foreign = foreign;
        this.machine.keepsReading = foreign.length > 0;
        this.counted.clear();
        for (const [domain, byNode] of state.totals)
          for (const [node, count] of byNode) this.counted.set(`${domain} ${node}`, count);
        this.#carryOut(this.machine.lead(state, minEpoch));
      });
    });
  }
}
