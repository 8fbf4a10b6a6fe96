import type { OutgoingMessage, WriteExpectation, WriteResult } from "../../shared/nats/batch-publisher.ts";
import type { Block } from "../../shared/protocol/block.ts";
import { type CommitReply, refuseCommit } from "../../shared/protocol/commit.ts";
import type {
  HelloRequest,
  IncarnateRequest,
  IngestReply,
  PrintsRequest,
} from "../../shared/protocol/messages.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import { type LaneMark, printOf, sameMark } from "../../shared/protocol/origin.ts";
import { formatReign, type LogPosition, type Reign, sameReign } from "../../shared/protocol/reign.ts";
import { domainOf, fenceSubject } from "../../shared/protocol/subjects.ts";
import type { CommitRules } from "./commits/judge-commit.ts";
import type { JudgedCommit } from "./commits/plan-commit.ts";
import type { Commit } from "./commits/read-commit.ts";
import { isLate, type WaitingCommit, WaitingCommits } from "./commits/waiting-commits.ts";
import { type BatchBounds, FairQueue, type Portion, type Waiting } from "./fair-queue.ts";
import type { LogRules } from "./judge-event.ts";
import { controlEntry, fenceEntry } from "./log-entry.ts";
import { type Fence, type LaneState, type LogState, laneOf, marksOf, nextPosition } from "./log-state.ts";
import { type BatchPlan, type Logged, planBatch } from "./plan-batch.ts";

export interface SequencerSettings {
  /** Which coordinator this is; written into the reign record. */
  readonly by: string;
  readonly rules: LogRules & CommitRules;
  readonly bounds: BatchBounds;
  /** Messages between two marks records: a start reads no more than that. */
  readonly marksEvery: number;
  /** What may wait in memory, bytes; beyond it blocks and commits are sent back. */
  readonly maxWaitingBytes: number;
  /** Aggregates of strong domains whose versions are remembered; others are read in the log. Default: many. */
  readonly mostVersions?: number;
  readonly randomId: () => string;
  readonly nowMs: () => number;
}

export type SequencerOutput =
  /** Answered by `written`. One at a time. */
  | {
      readonly do: "write";
      readonly token: number;
      readonly messages: readonly OutgoingMessage[];
      readonly expect: WriteExpectation;
    }
  | { readonly do: "reply"; readonly token: number; readonly reply: IngestReply }
  | { readonly do: "retired"; readonly token: number; readonly outcome: RetireOutcome }
  /** Undefined: what became of it nobody knows here, so nothing is said; whoever sends it again is told by who leads then. */
  | { readonly do: "answer"; readonly token: number; readonly reply: CommitReply | undefined }
  /** Read the newest message of these subjects; answered by `versionRead`. */
  | { readonly do: "version"; readonly token: number; readonly aggregate: string }
  /** Read the newest message's sequence on that subject and the stream's last one; answered by `fenced`. One at a time. */
  | { readonly do: "fence"; readonly token: number; readonly subject: string }
  /** Answer from the log if that reign still lasts then: what was read before another began may be gone since. */
  | {
      readonly do: "prints";
      readonly token: number;
      readonly node: string;
      readonly request: PrintsRequest;
      readonly reign: Reign;
    }
  /** What is in memory may not be what is in the log: read it again, then `lead` with at least that epoch. */
  | { readonly do: "reread"; readonly minEpoch: number; readonly reason: string }
  | { readonly do: "logged"; readonly events: readonly Logged[]; readonly refused: readonly string[] }
  | { readonly do: "leading"; readonly reign: Reign };

/** not-now: it may be in the log or not, and may be asked for again. unknown: the log has no such node. */
export type RetireOutcome = "retired" | "unknown" | "not-now";

/** taking: its record and fence are on their way. */
type Phase = "idle" | "taking" | "leading";

/** A question whose answer says what the log has, hence given only after a fenced read with nothing under way. */
type Question =
  | LaneQuestion
  /** Nothing of its batch was to be written: it was repeated, or refused. */
  | ({ readonly kind: "commit" } & JudgedCommit);

interface LaneQuestion {
  readonly node: string;
  readonly token: number;
  readonly kind: "lane" | "expected";
}

type Tail = Pick<LaneState, "incarnation" | "mark" | "retired">;

/** What a node is answered. */
type ShippedWaiting = Extract<Waiting, { kind: "block" | "incarnate" }>;

interface Writing {
  readonly token: number;
  readonly portions: readonly Portion[];
  readonly count: number;
  readonly logged: BatchPlan["logged"];
  readonly refused: BatchPlan["refused"];
  readonly commits: readonly JudgedCommit[];
}

/**
 * Puts the events of all origins into one order. Pure: every method takes what happened and returns what is to be done,
 * so the same code runs on real servers and in the simulation.
 *
 * It never answers from memory alone. What was stored is said once the server said so, under the expectation that the
 * log's end is where it left it and its own fence is still open; everything else only after reading both again. Commits
 * whose batch failed wait, unanswered, until the log says what became of them.
 */
export class SequencerMachine {
  readonly #settings: SequencerSettings;
  #phase: Phase = "idle";
  #nextToken = 1;
  #state: LogState | undefined;
  #reign: Reign | undefined;
  /** Where each lane will be once all that waits is written. */
  readonly #tails = new Map<string, Tail>();
  readonly #queue = new FairQueue();
  #writing: Writing | undefined;
  #questions: Question[] = [];
  #fencing: { readonly token: number; readonly questions: readonly Question[] } | undefined;
  #marksWanted = false;
  #keepsReading = false;
  readonly #commits: WaitingCommits;
  /** Of the reading that `state` is from: what was asked before says nothing of it. */
  #readings = 0;

  constructor(settings: SequencerSettings) {
    this.#settings = settings;
    this.#commits = new WaitingCommits(settings.mostVersions);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get reign(): Reign | undefined {
    return this.#phase === "leading" ? this.#reign : undefined;
  }

  /** The log as this machine knows it; undefined before `lead`. May be ahead of the log by the write under way. */
  get state(): LogState | undefined {
    return this.#state;
  }

  get waitingBytes(): number {
    return this.#queue.bytes + this.#commits.bytes;
  }

  get busy(): boolean {
    return this.#writing !== undefined || !this.#queue.empty;
  }

  /**
   * Begins a reign over a log that was just read: closes the last reign's fence and opens its own, all of it or nothing,
   * or a log that was restored in between could get an opened fence without what it belongs to. The first message of a
   * log is a fence: there is no other by which the next reign could know this log from another.
   */
  lead(state: LogState, minEpoch = 0): SequencerOutput[] {
    const out = this.#reset();
    this.#state = state;
    const epoch = Math.max((state.position?.reign.epoch ?? 0) + 1, minEpoch);
    const reign = { epoch, id: this.#settings.randomId() };
    this.#reign = reign;
    this.#phase = "taking";
    const { fence: last, position: previous = null } = state;
    const expect: WriteExpectation = { ...this.#expectation(), allOrNothing: true };
    const open = () => fenceEntry(this.#fenceSubject(), { reign, open: true }, this.#nextPosition());
    const record = () =>
      controlEntry("reign", { reign, by: this.#settings.by, previous }, this.#nextPosition());
    const close = ({ subject }: Fence) => fenceEntry(subject, { reign, open: false }, this.#nextPosition());
    const messages = last ? [record(), close(last), open()] : [open(), record()];
    out.push(this.#write(messages, expect));
    return out;
  }

  /**
   * While what was stepped over still stands in the log, no marks are written: a start that reads from younger ones would
   * not meet it again.
   */
  set keepsReading(wanted: boolean) {
    this.#keepsReading = wanted;
  }

  /** Ends the reign: whoever waits is told to ask again. */
  stop(): SequencerOutput[] {
    const out = this.#reset();
    this.#state = undefined;
    this.#reign = undefined;
    return [...out, ...this.#commits.release().map((waiting) => this.#giveUp(waiting))];
  }

  hello(node: string, token: number, request: HelloRequest): SequencerOutput[] {
    if (!this.#leads()) return [this.#notNow(token)];
    if (request.version !== PROTOCOL_VERSION) {
      const reason = `protocol version ${request.version}, this hub speaks ${PROTOCOL_VERSION}`;
      return [
        { do: "reply", token, reply: { kind: "rejected", reign: this.#reign ?? null, retry: false, reason } },
      ];
    }
    const reign = this.#reign as Reign;
    const seen = request.seen;
    if (seen && (seen.epoch > reign.epoch || (seen.epoch === reign.epoch && seen.id !== reign.id))) {
      // This log was restored from before that reign. Only a higher epoch is believed by those who saw it.
      return [this.#notNow(token), ...this.#reread(`${node} has seen epoch ${seen.epoch}`, seen.epoch + 1)];
    }
    const lane = this.#state?.lanes.get(node);
    if (lane) lane.refused = lane.refused.filter((refusal) => refusal.seq >= request.outbox.first);
    const tail = this.#tailOf(node);
    // Events behind its retirement count as having seen all that it wrote, so what it writes now must be of another lane.
    if (tail.retired) return this.#begin(node, token, { predecessor: tail.incarnation, common: tail.mark });
    return this.#ask({ node, token, kind: "lane" });
  }

  prints(node: string, token: number, request: PrintsRequest): SequencerOutput[] {
    if (!this.#leads()) return [this.#notNow(token)];
    return [{ do: "prints", token, node, request, reign: this.#reign as Reign }];
  }

  incarnate(node: string, token: number, request: IncarnateRequest): SequencerOutput[] {
    if (!this.#leads()) return [this.#notNow(token)];
    const tail = this.#tailOf(node);
    // Another predecessor: this was asked before and the answer got lost, or another machine of that name was quicker.
    // Another reign: the log may have been restored since, and have less of this node than it was told.
    if (request.predecessor !== tail.incarnation || !sameReign(request.reign, this.#reign as Reign)) {
      return this.#ask({ node, token, kind: "lane" });
    }
    const { predecessor, common } = request;
    return this.#begin(node, token, { predecessor, common });
  }

  /** An operator says that a node is gone for good; behind all that waits of it. Once more does no harm. */
  retire(node: string, token: number): SequencerOutput[] {
    if (!this.#leads()) return [{ do: "retired", token, outcome: "not-now" }];
    const { incarnation, mark } = this.#tailOf(node);
    if (incarnation === 0) return [{ do: "retired", token, outcome: "unknown" }];
    this.#tails.set(node, { incarnation, mark, retired: true });
    this.#queue.push(node, { kind: "retire", token });
    return this.#pump();
  }

  block(node: string, token: number, block: Block): SequencerOutput[] {
    if (!this.#leads()) return [this.#notNow(token)];
    if (this.waitingBytes > this.#settings.maxWaitingBytes)
      return [this.#notNow(token, "too much waits at the hub")];
    const tail = this.#tailOf(node);
    if (tail.retired) return [this.#notNow(token, "the node is retired: it has to greet first")];
    if (
      block.incarnation !== tail.incarnation ||
      tail.incarnation === 0 ||
      !sameMark(block.previous, tail.mark)
    ) {
      return this.#ask({ node, token, kind: "expected" });
    }
    const first = block.events[0];
    const last = block.events.at(-1);
    if (!first || !last) return this.#ask({ node, token, kind: "expected" });
    this.#tails.set(node, { incarnation: tail.incarnation, mark: { seq: last.seq, print: printOf(last) } });
    const hole = block.acceptedHole ? { hole: { after: block.previous.seq, before: first.seq } } : {};
    this.#queue.push(node, {
      kind: "block",
      token,
      incarnation: block.incarnation,
      events: block.events,
      ...hole,
    });
    return this.#pump();
  }

  /** An event of a strong domain, from a program on that node. */
  commit(node: string, token: number, commit: Commit): SequencerOutput[] {
    const sinceMs = this.#settings.nowMs();
    const waiting: WaitingCommit = { kind: "commit", node, token, commit, sinceMs, mayBeStored: false };
    if (!this.#state) return [this.#giveUp(waiting)];
    if (this.waitingBytes > this.#settings.maxWaitingBytes)
      return [this.#giveUp(waiting, "too much waits at the hub; send it again")];
    if (this.#leads()) return [...this.#admit(waiting), ...this.#pump()];
    this.#commits.hold(waiting);
    return [];
  }

  /** Answers `version`: the log's index of an aggregate's newest event, 0: it has none; undefined: the log could not be read. */
  versionRead(token: number, aggregate: string, index: number | undefined): SequencerOutput[] {
    if (token !== this.#readings) return [];
    const waiting = this.#commits.versionRead(aggregate, index);
    if (index === undefined) return waiting.map((one) => this.#giveUp(one));
    for (const one of waiting) this.#queue.push(one.node, one);
    return this.#pump();
  }

  /** A domain has become strong: while it was not, nobody counted its versions. */
  forgetVersions(): void {
    this.#commits.versions.forget();
  }

  /** Gives up commits that have waited for the log for too long: while it can't be read nobody else tells them. */
  expire(): SequencerOutput[] {
    const nowMs = this.#settings.nowMs();
    return this.#commits.release((waiting) => isLate(waiting, nowMs)).map((waiting) => this.#giveUp(waiting));
  }

  /** Asks for a marks record with the next write, or now. */
  checkpoint(): SequencerOutput[] {
    if (!this.#leads() || (this.#state?.sinceMarks ?? 0) === 0) return [];
    this.#marksWanted = true;
    return this.#pump();
  }

  /** Begins a new reign when nothing is under way, so that the log can be purged up to a younger fence. */
  renew(): SequencerOutput[] {
    return this.#leads() && !this.busy ? this.#reread("a younger reign is wanted") : [];
  }

  /** Where the log's stream ends: something that is not this reign's stands there, and is stepped over before the next write. */
  seen(lastSeq: number): SequencerOutput[] {
    if (!this.#leads() || this.busy || lastSeq <= (this.#state?.lastSeq ?? 0)) return [];
    return this.#reread(`the log's stream is at ${lastSeq}`);
  }

  /** What became of a write. One that was given up when the log was read again says nothing any more. */
  written(token: number, result: WriteResult): SequencerOutput[] {
    const writing = this.#writing;
    const state = this.#state;
    if (!writing || !state || writing.token !== token) return [];
    if (result.kind !== "stored") {
      const why =
        result.kind === "refused" ? `the log refused a batch: ${result.reason}` : `unknown: ${result.reason}`;
      return this.#reread(why);
    }
    if (result.lastSeq !== state.lastSeq + writing.count)
      return this.#reread("a batch was stored elsewhere than expected");
    this.#writing = undefined;
    state.lastSeq = result.lastSeq;
    const out: SequencerOutput[] = [];
    if (this.#phase === "taking") {
      this.#phase = "leading";
      const seq = state.fence ? result.lastSeq : result.lastSeq - 1;
      state.fence = { subject: this.#fenceSubject(), seq };
      out.push({ do: "leading", reign: this.#reign as Reign });
      for (const waiting of this.#commits.release()) out.push(...this.#admit(waiting));
    }
    this.#commits.versions.stored();
    for (const { waiting, reply } of writing.commits) out.push({ do: "answer", token: waiting.token, reply });
    for (const portion of writing.portions) {
      if (portion.whole && portion.waiting.kind !== "commit") {
        const { node, waiting } = portion;
        const { token } = waiting;
        if (waiting.kind === "retire") out.push({ do: "retired", token, outcome: "retired" });
        else out.push({ do: "reply", token, reply: this.#writtenReply({ node, waiting }) });
      }
    }
    if (writing.logged.length > 0 || writing.refused.length > 0) {
      const refused = writing.refused.map(({ refusal }) => refusal.reason);
      out.push({ do: "logged", events: writing.logged, refused });
    }
    out.push(...this.#pump(), ...this.#answerQuestions());
    return out;
  }

  /** Answers `fence`, `fenceSeq` 0: no such message; undefined: the log could not be read. */
  fenced(
    token: number,
    seen: { readonly fenceSeq: number; readonly lastSeq: number } | undefined,
  ): SequencerOutput[] {
    const asked = this.#fencing;
    const state = this.#state;
    if (!asked || !state || asked.token !== token) return [];
    this.#fencing = undefined;
    // A write may have been begun and stored since the fence was read, so the end may be further on, never further back.
    if (!seen || seen.fenceSeq !== state.fence?.seq || seen.lastSeq < this.#fencedFrom) {
      this.#questions.push(...asked.questions);
      return this.#reread("the log is not what it was");
    }
    const out: SequencerOutput[] = [];
    for (const question of asked.questions) {
      if (question.kind === "commit") {
        out.push({ do: "answer", token: question.waiting.token, reply: question.reply });
        continue;
      }
      // Meanwhile something of that lane may have been put under way: what memory says of it is not yet in the log.
      if (this.#settled(question))
        out.push({ do: "reply", token: question.token, reply: this.#laneReply(question) });
      else this.#questions.push(question);
    }
    out.push(...this.#answerQuestions());
    return out;
  }

  #fencedFrom = 0;

  #leads(): boolean {
    return this.#phase === "leading";
  }

  /** Those that wait are told to ask again; commits are held. */
  #reset(): SequencerOutput[] {
    const written = (this.#writing?.portions ?? [])
      .filter(({ whole, waiting }) => whole && waiting.kind !== "commit")
      .map(({ waiting }) => waiting);
    const maybe = (this.#writing?.commits ?? []).map(({ waiting }) => ({ ...waiting, mayBeStored: true }));
    const questions = [...this.#questions, ...(this.#fencing?.questions ?? [])];
    const judged = questions.map((question) => (question.kind === "commit" ? question.waiting : question));
    const waiting: (Waiting | LaneQuestion)[] = [...maybe, ...written, ...judged, ...this.#queue.clear()];
    const others = waiting.filter(({ kind }) => kind !== "commit");
    this.#commits.holdAll(waiting.filter((one) => one.kind === "commit"));
    this.#readings += 1;
    this.#writing = undefined;
    this.#questions = [];
    this.#fencing = undefined;
    this.#tails.clear();
    this.#marksWanted = false;
    this.#phase = "idle";
    return others.map(({ kind, token }) =>
      kind === "retire" ? { do: "retired", token, outcome: "not-now" } : this.#notNow(token),
    );
  }

  #reread(reason: string, minEpoch = 0): SequencerOutput[] {
    return [...this.#reset(), { do: "reread", minEpoch, reason }];
  }

  /** Says nothing about what was stored: the origin asks again and gets what the log says then. */
  #notNow(token: number, reason = "the log is being read"): SequencerOutput {
    return {
      do: "reply",
      token,
      reply: { kind: "rejected", reign: this.#reign ?? null, retry: true, reason },
    };
  }

  /** What was in no batch was not stored; of another nothing is said. */
  #giveUp({ token, mayBeStored }: WaitingCommit, reason = "the hub reads its log"): SequencerOutput {
    return { do: "answer", token, reply: mayBeStored ? undefined : refuseCommit("unavailable", reason) };
  }

  /** Into the queue, or first its aggregate's version has to be read. */
  #admit(waiting: WaitingCommit): SequencerOutput[] {
    const { aggregate, expected } = waiting.commit;
    // What outboxes bring to a domain that is not strong is not counted: a version that was read meanwhile would be kept for
    // the time when it is.
    const isCounted = this.#settings.rules.isStrong(domainOf(aggregate));
    if (expected === undefined || !isCounted || this.#commits.versions.get(aggregate) !== undefined) {
      this.#queue.push(waiting.node, waiting);
      return [];
    }
    return this.#commits.awaitVersion(waiting) ? [{ do: "version", token: this.#readings, aggregate }] : [];
  }

  #begin(node: string, token: number, from: { predecessor: number; common: LaneMark }): SequencerOutput[] {
    this.#tails.set(node, { incarnation: from.predecessor + 1, mark: from.common });
    this.#queue.push(node, { kind: "incarnate", token, ...from });
    return this.#pump();
  }

  #tailOf(node: string): Tail {
    return this.#tails.get(node) ?? laneOf(this.#state as LogState, node);
  }

  #nextPosition(): LogPosition {
    return nextPosition(this.#state as LogState, this.#reign as Reign);
  }

  #fenceSubject(): string {
    return fenceSubject(formatReign(this.#reign as Reign));
  }

  #expectation(): WriteExpectation {
    const { lastSeq, fence } = this.#state as LogState;
    return fence ? { lastSeq, newest: fence } : { lastSeq };
  }

  #write(
    messages: readonly OutgoingMessage[],
    expect: WriteExpectation,
    planned: Pick<Writing, "portions" | "logged" | "refused" | "commits"> = NOTHING_PLANNED,
  ): SequencerOutput {
    const token = this.#nextToken++;
    this.#writing = { token, count: messages.length, ...planned };
    return { do: "write", token, messages, expect };
  }

  #ask(...questions: readonly Question[]): SequencerOutput[] {
    this.#questions.push(...questions);
    return this.#answerQuestions();
  }

  /** Moves questions about lanes with nothing under way behind one fenced read. */
  #answerQuestions(): SequencerOutput[] {
    if (this.#fencing || this.#questions.length === 0 || !this.#leads()) return [];
    const ready = this.#questions.filter((question) => this.#settled(question));
    if (ready.length === 0) return [];
    this.#questions = this.#questions.filter((question) => !ready.includes(question));
    const token = this.#nextToken++;
    this.#fencing = { token, questions: ready };
    this.#fencedFrom = (this.#state as LogState).lastSeq;
    return [{ do: "fence", token, subject: this.#fenceSubject() }];
  }

  #settled(question: Question): boolean {
    // Judged when nothing was under way: what the log had then it has.
    if (question.kind === "commit") return true;
    const { node } = question;
    const lane = laneOf(this.#state as LogState, node);
    const tail = this.#tailOf(node);
    const isOfLane = (portion: Portion) => portion.node === node && portion.waiting.kind !== "commit";
    if (this.#writing?.portions.some(isOfLane)) return false;
    return tail.incarnation === lane.incarnation && sameMark(tail.mark, lane.mark);
  }

  #laneReply(question: LaneQuestion): IngestReply {
    const lane = laneOf(this.#state as LogState, question.node);
    const { incarnation, mark, top } = lane;
    const reign = this.#reign as Reign;
    const confirmed = this.#confirmed(lane);
    if (question.kind === "expected") return { kind: "expected", reign, incarnation, mark, confirmed };
    return {
      kind: "lane",
      version: PROTOCOL_VERSION,
      reign,
      incarnation,
      mark,
      top,
      confirmed,
      refused: [...lane.refused],
      maxMessageBytes: this.#settings.rules.maxMessageBytes,
    };
  }

  /** With one hub, what is in the log is on every member. */
  #confirmed(lane: LaneState): number {
    return lane.mark.seq;
  }

  #writtenReply({ node, waiting }: { node: string; waiting: ShippedWaiting }): IngestReply {
    const lane = laneOf(this.#state as LogState, node);
    const reign = this.#reign as Reign;
    if (waiting.kind === "incarnate") {
      const { incarnation, mark, top, refused } = lane;
      const confirmed = this.#confirmed(lane);
      const version = PROTOCOL_VERSION;
      const { maxMessageBytes } = this.#settings.rules;
      const lists = { refused: [...refused], maxMessageBytes };
      return { kind: "lane", version, reign, incarnation, mark, top, confirmed, ...lists };
    }
    const { events } = waiting;
    const first = events[0]?.seq ?? 0;
    const last = events.at(-1)?.seq ?? 0;
    const refused = lane.refused.filter(({ seq }) => seq >= first && seq <= last);
    return { kind: "taken", reign, accepted: last, confirmed: last, refused };
  }

  #pump(): SequencerOutput[] {
    const state = this.#state;
    if (this.#writing || !state || !this.#leads()) return [];
    const marksDue =
      !this.#keepsReading && (this.#marksWanted || state.sinceMarks >= this.#settings.marksEvery);
    if (this.#queue.empty && !marksDue) return [];
    const expect = this.#expectation();
    const nowMs = this.#settings.nowMs();
    const portions = this.#queue.take(this.#settings.bounds);
    const { messages, logged, refused, commits, unread } = planBatch(state, portions, {
      reign: this.#reign as Reign,
      rules: this.#settings.rules,
      versions: this.#commits.versions,
      nowMs,
    });
    const readings = unread.flatMap((waiting) => this.#admit(waiting));
    if (marksDue) {
      this.#marksWanted = false;
      const marks = marksOf(state);
      // Too large to be stored, it would fail every batch from now on. Without it a start only reads more.
      if (JSON.stringify(marks).length < this.#settings.rules.maxMessageBytes / 2) {
        messages.push(controlEntry("marks", marks, this.#nextPosition()));
      }
      state.sinceMarks = 0;
    }
    if (messages.length === 0) {
      const asked = commits.map((judged) => ({ kind: "commit", ...judged }) as const);
      return [...readings, ...this.#ask(...asked), ...this.#pump()];
    }
    return [this.#write(messages, expect, { portions, logged, refused, commits }), ...readings];
  }
}

const NOTHING_PLANNED = { portions: [], logged: [], refused: [], commits: [] };
