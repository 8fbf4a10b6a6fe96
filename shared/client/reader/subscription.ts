import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { readCopyRecord } from "../../follow/copy-record.ts";
import { seqAtTime } from "../../follow/find-in-log.ts";
import { positionOf, type StreamHistory } from "../../follow/read-history.ts";
import { getMessage } from "../../nats/get-message.ts";
import { JetStreamRefused, streamState } from "../../nats/jetstream-api.ts";
import { backoffMs, LOOPBACK_POLICY } from "../../nats/reconnect-policy.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { printInLog, printInOutbox } from "../../protocol/logged-event.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { parseOrigin } from "../../protocol/origin.ts";
import { formatLogPosition, parseLogPosition } from "../../protocol/reign.ts";
import { controlRecordSubject } from "../../protocol/subjects.ts";
import { Arrivals } from "./arrivals.ts";
import { type Batch, type BatchLimits, batchesOf } from "./batches.ts";
import { decodeCheckpoint, encodeCheckpoint, NOWHERE, reignWords, type Standing } from "./checkpoint.ts";
import { Merge } from "./merge.ts";
import { findLogStart, type LogStart, logHistory } from "./open-log.ts";
import { findOutboxStart, newestOwn, printAt } from "./own-outbox.ts";
import { CimEvent } from "./read-event.ts";
import { CheckpointInvalid, EventsGone, ReaderAhead } from "./reader-errors.ts";
import { filtersOf, type SubscribeOptions } from "./subscribe-options.ts";

/** What waits of a stream. */
export interface PartLag {
  /** Matching events that have not been handed out. */
  readonly events: number;
  /** Age of the event that was handed out last, ms, while others wait; 0: none waits. */
  readonly ms: number;
}

export interface ReaderLag {
  readonly log: PartLag;
  readonly outbox: PartLag;
}

/** Where a reader stood when nothing was here for it: behind so many events that it handed out, and all that did not match. */
export interface ReaderRest {
  readonly events: number;
  readonly checkpoint: () => string;
}

const DEFAULT_WAIT_MS = 10_000;
/** A node that keeps no log may begin to. */
const LOOK_FOR_LOG_MS = 1_000;

/** The streams are to be looked at anew. Nothing broke, so nobody is told. */
class ReadAnew extends Error {}

/**
 * The events of a node as one stream: its own at once from the outbox, all others from the log or copy, each once. Lives
 * over restarts of the server. One loop at a time.
 */
export class Subscription implements AsyncIterable<CimEvent> {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #options: SubscribeOptions;
  readonly #filters: readonly string[];
  readonly #end = new AbortController();
  #merge: Merge;
  #standing: Standing;
  #lanesOf: Pick<Merge, "own" | "others">;
  /** Where the log is read from when nothing of it has been read. */
  #firstSeq: number | undefined;
  /** How far the outbox was read, also where nothing in it matched. */
  #outboxRead = 0;
  #log: Arrivals | undefined;
  #outbox: Arrivals | undefined;
  #waiting = { log: 0, outbox: 0 };
  #lastUs = { log: 0, outbox: 0 };
  #events = 0;
  #rest: ReaderRest | undefined;

  constructor(nc: NatsConnection, node: string, options: SubscribeOptions) {
    this.#nc = nc;
    this.#node = node;
    this.#options = options;
    this.#filters = filtersOf(options);
    const { from } = options;
    if (from instanceof Date && Number.isNaN(from.getTime()))
      throw new CheckpointInvalid("from: the Date is not valid");
    const given =
      from instanceof Date || from === "start" || from === "now" ? NOWHERE : decodeCheckpoint(from);
    this.#standing = given;
    this.#merge = new Merge(node, given.lanes);
    this.#lanesOf = { own: this.#merge.own, others: this.#merge.others };
  }

  lag(): ReaderLag {
    const part = (name: "log" | "outbox", arrivals: Arrivals | undefined): PartLag => {
      const events = (arrivals?.waiting ?? 0) + this.#waiting[name];
      const lastUs = this.#lastUs[name];
      return { events, ms: events === 0 || lastUs === 0 ? 0 : Math.max(0, Date.now() - lastUs / 1000) };
    };
    return { log: part("log", this.#log), outbox: part("outbox", this.#outbox) };
  }

  /** undefined: it has not come to rest yet. */
  get rest(): ReaderRest | undefined {
    return this.#rest;
  }

  /** Ends the loop, also one that waits. */
  end(): void {
    this.#end.abort();
  }

  /** What was given as `from`, as the checkpoint of this moment: reading begins there also later. Not while it is read. */
  async beginning(): Promise<string> {
    const start = await this.#findStart(this.#end.signal, () => undefined);
    const reigns = start ? reignWords(start.history) : [];
    return encodeCheckpoint({ ...this.#standing, reigns, lanes: this.#merge.lanes });
  }

  /** Events in groups, for programs that handle many in one transaction. */
  batches(limits: BatchLimits = {}): AsyncGenerator<Batch, void> {
    return batchesOf(this, limits, () => this.end());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CimEvent, void> {
    const { signal: given } = this.#options;
    const signal = given ? AbortSignal.any([given, this.#end.signal]) : this.#end.signal;
    let attempt = 0;
    let begun = false;
    while (!signal.aborted && !this.#nc.isClosed()) {
      try {
        for await (const event of this.#read(signal)) {
          attempt = 0;
          begun = true;
          yield event;
          if (signal.aborted) return;
        }
      } catch (error) {
        if (signal.aborted || this.#nc.isClosed()) return;
        if (error instanceof ReaderAhead || error instanceof EventsGone) throw error;
        if (error instanceof ReadAnew) continue;
        // At first it is for the program; what breaks later passes, as a server that restarts.
        if (!begun && error instanceof JetStreamRefused && error.code < 500) throw error;
        if (attempt === 0)
          this.#options.onNotice?.(`${this.#node} can't be read (${wordsOf(error)}); tries again`);
        const waitMs = backoffMs(attempt++, LOOPBACK_POLICY);
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Until either stream breaks. */
  async *#read(signal: AbortSignal): AsyncGenerator<CimEvent, void> {
    const nc = this.#nc;
    this.#merge.outboxOpen = false;
    const notice = (line: string) => this.#options.onNotice?.(line);
    const start = await this.#findStart(signal, notice);
    if (signal.aborted) return;
    if (start) this.#standing = { ...this.#standing, reigns: reignWords(start.history) };
    const logSeq = start?.startSeq;
    const before = this.#merge.own?.seq;
    let where = await findOutboxStart(nc, this.#merge, {
      caughtUpFrom: start ? undefined : Number.POSITIVE_INFINITY,
      logSeq,
      notice,
    });
    if (this.#merge.own?.seq !== before) this.#outboxRead = 0;
    /** Of the own events that were trimmed unread, up to where each was seen in the log. 0: it is not known what was read. */
    let seenTo = Math.max(this.#merge.own?.seq ?? 0, this.#outboxRead);
    const copyHasAll = start !== undefined && (await this.#copyHasAll());
    if (!start && where.kind === "open") this.#refuseGap(seenTo, where.startSeq);
    await using open = new AsyncDisposableStack();
    const end = () => {
      this.#log?.reader.break("ended");
      this.#outbox?.reader.break("ended");
    };
    open.defer(() => {
      signal.removeEventListener("abort", end);
      this.#log = undefined;
      this.#outbox = undefined;
      this.#waiting = { log: 0, outbox: 0 };
    });
    signal.addEventListener("abort", end);
    if (start) {
      // The log is purged only behind a record of marks: by these a reader of rare events comes along.
      const filters = this.#filters.length === 0 ? [] : [...this.#filters, controlRecordSubject("marks")];
      const init = { nc, stream: STREAM.events, startSeq: start.startSeq, filters };
      this.#log = new Arrivals(open.use(await new StreamReader(init).start()));
    }
    /** What the log had when the outbox was looked at. */
    let toCatchUp = this.#log?.reader.pending ?? 0;
    let triedAt: Merge["own"];
    let outboxSeq = 0;
    for (;;) {
      if (!this.#outbox && where.kind === "open") {
        outboxSeq = where.startSeq - 1;
        const init = { nc, stream: STREAM.outbox, startSeq: where.startSeq, filters: this.#filters };
        this.#outbox = new Arrivals(open.use(await new StreamReader(init).start()));
        this.#merge.outboxOpen = true;
      }
      if (signal.aborted) return;
      const own = this.#outbox?.take() ?? [];
      if (own.length > 0) {
        await this.#checkTrim(own, outboxSeq);
        outboxSeq = (own.at(-1) as StoredMessage).seq;
        this.#outboxRead = outboxSeq;
        this.#waiting.outbox = own.length;
        for (const message of own) {
          this.#waiting.outbox -= 1;
          const print = () => printInOutbox(this.#node, message);
          if (this.#merge.fromOutbox(message.seq, print) === "deliver") {
            this.#lastUs.outbox = message.timeUs;
            yield this.#event(message);
          }
        }
      }
      const logged = this.#log?.take() ?? [];
      this.#waiting.log = logged.length;
      for (const message of logged) {
        this.#waiting.log -= 1;
        this.#moveLog(message);
        const origin = parseOrigin(headerValue(message.headerText, HEADER.origin));
        if (!origin) continue;
        if (origin.node === this.#node && origin.seq === seenTo + 1) seenTo += 1;
        const print = () => printInLog(message) ?? "";
        let decision = this.#merge.fromLog(origin, print);
        if (decision === "ask") {
          const there = await printAt(nc, this.#node, origin.seq);
          decision = this.#merge.answered(origin, print, there === undefined ? undefined : there === print());
        }
        if (decision === "deliver") {
          this.#lastUs.log = message.timeUs;
          yield this.#event(message);
        }
      }
      if (!this.#outbox) {
        toCatchUp -= logged.length;
        const caughtUp = toCatchUp <= 0 || this.#log?.waiting === 0;
        const isDue = where.kind === "after-log" ? caughtUp : this.#merge.own !== triedAt;
        if (isDue) {
          triedAt = this.#merge.own;
          const caughtUpFrom = where.kind === "after-log" ? where.first : undefined;
          const next = (this.#standing.local?.seq ?? (logSeq ?? 1) - 1) + 1;
          where = await findOutboxStart(nc, this.#merge, { caughtUpFrom, logSeq: next, notice });
          if (where.kind === "after-log") throw new ReadAnew();
          if (where.kind === "open" && caughtUpFrom !== undefined && !copyHasAll)
            this.#refuseGap(seenTo, where.startSeq);
          if (where.kind === "open") continue;
        }
      }
      if (own.length + logged.length > 0) continue;
      const standing = { ...this.#standing, lanes: this.#merge.lanes };
      this.#rest = { events: this.#events, checkpoint: () => encodeCheckpoint(standing) };
      const arrivals = [this.#outbox, this.#log].flatMap((one) => (one ? [one.arrived()] : []));
      if (start) await Promise.race(arrivals);
      else if (await this.#logAppears(arrivals)) throw new ReadAnew();
    }
  }

  async #findStart(signal: AbortSignal, notice: (line: string) => void): Promise<LogStart | undefined> {
    const { from, waitMs = DEFAULT_WAIT_MS } = this.#options;
    if (this.#standing.log === undefined && this.#firstSeq !== undefined) {
      const history = await logHistory(this.#nc);
      return history && { startSeq: this.#firstSeq, history };
    }
    if (this.#standing.log !== undefined) {
      const start = await findLogStart(this.#nc, this.#node, this.#standing, { waitMs, signal, notice });
      if (start) await this.#markFrom(start.startSeq);
      return start;
    }
    // The outbox first: what is written between is in neither.
    const outbox = await streamState(this.#nc, STREAM.outbox);
    const history = await logHistory(this.#nc);
    if (!history) {
      if (from === "now") {
        this.#passOver(outbox.last_seq);
        // Whatever the log has when it is there is newer.
        this.#firstSeq = 1;
      }
      return undefined;
    }
    this.#firstSeq = Math.max(1, history.firstSeq);
    if (from === "now") {
      this.#passOver(outbox.last_seq);
      this.#firstSeq = history.lastSeq + 1;
    } else if (from instanceof Date) {
      this.#firstSeq = await seqAtTime(this.#nc, history, from.getTime());
      await this.#markFrom(this.#firstSeq);
    }
    if (from !== "start") await this.#standBefore(history, this.#firstSeq);
    return { startSeq: this.#firstSeq, history };
  }

  /** A checkpoint of an own event that comes before any of the log is to go on from where reading began. */
  async #standBefore(history: StreamHistory, startSeq: number): Promise<void> {
    if (startSeq <= history.firstSeq) return;
    const before = await getMessage(this.#nc, STREAM.events, { seq: startSeq - 1 });
    const found = positionOf(before) ?? (startSeq > history.lastSeq ? history.last : undefined);
    if (!found) return;
    const log = formatLogPosition(found);
    const local = before && positionOf(before) ? { node: this.#node, seq: before.seq, log } : undefined;
    this.#standing = { ...this.#standing, log, local };
  }

  #passOver(seq: number): void {
    this.#merge.own ??= { node: this.#node, incarnation: undefined, seq, last: undefined, first: undefined };
  }

  /** What the log has of this node's before the place where reading begins is not to come from the outbox. */
  async #markFrom(startSeq: number): Promise<void> {
    this.#merge.own ??= await newestOwn(this.#nc, this.#node, startSeq);
  }

  /** A slow reader's outbox may be trimmed under it, and the server just goes on behind. The log has what went. */
  async #checkTrim(messages: readonly StoredMessage[], after: number): Promise<void> {
    let gapAfter: number | undefined;
    let last = after;
    for (const { seq } of messages) {
      if (seq !== last + 1) gapAfter ??= last;
      last = seq;
    }
    if (gapAfter === undefined) return;
    const { first_seq } = await streamState(this.#nc, STREAM.outbox);
    if (first_seq > gapAfter + 1) throw new ReadAnew();
  }

  /** Waits for either. @returns whether the node has a log or copy now */
  async #logAppears(arrivals: readonly Promise<void>[]): Promise<boolean> {
    const stop = new AbortController();
    const look = sleep(LOOK_FOR_LOG_MS, true, { signal: stop.signal }).catch(() => false);
    const isDue = await Promise.race([look, ...arrivals.map((one) => one.then(() => false))]);
    stop.abort();
    return isDue && (await logHistory(this.#nc)) !== undefined;
  }

  /** Whether what was trimmed of the outbox and matches is in this log or copy for sure. */
  async #copyHasAll(): Promise<boolean> {
    const record = await readCopyRecord(this.#nc);
    if (record) return record.live.includes("*") || record.live.includes(this.#options.domain ?? "*");
    const reign = { last_by_subj: controlRecordSubject("reign") };
    return (await getMessage(this.#nc, STREAM.events, reign)) !== undefined;
  }

  /** @throws EventsGone own events were trimmed that this reader did not have */
  #refuseGap(readTo: number, first: number): void {
    if (readTo === 0 || readTo + 1 >= first) return;
    throw new EventsGone(
      `${this.#node}: the reader has own events up to ${readTo}, the outbox begins at ${first}, and it is not certain that the copy has what is between`,
    );
  }

  #moveLog(message: StoredMessage): void {
    const log = headerValue(message.headerText, HEADER.log);
    const position = parseLogPosition(log);
    if (log === undefined || !position) return;
    const before = parseLogPosition(this.#standing.log);
    // A domain that is filled in has older events behind newer ones.
    const isFurther =
      !before ||
      position.reign.epoch > before.reign.epoch ||
      (position.reign.epoch === before.reign.epoch && position.index > before.index);
    const local = { node: this.#node, seq: message.seq, log };
    this.#standing = { ...this.#standing, local, ...(isFurther && { log }) };
  }

  #event(message: StoredMessage): CimEvent {
    if (this.#merge.own !== this.#lanesOf.own || this.#merge.others !== this.#lanesOf.others) {
      this.#lanesOf = { own: this.#merge.own, others: this.#merge.others };
      this.#standing = { ...this.#standing, lanes: this.#merge.lanes };
    }
    this.#events += 1;
    return new CimEvent(message, this.#node, this.#standing);
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
