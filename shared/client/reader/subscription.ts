import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { JetStreamRefused } from "../../nats/jetstream-api.ts";
import { backoffMs, LOOPBACK_POLICY } from "../../nats/reconnect-policy.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import { errorText } from "../../protocol/error-text.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { printInLog, printInOutbox } from "../../protocol/logged-event.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { type Origin, parseOrigin } from "../../protocol/origin.ts";
import { Arrivals } from "./arrivals.ts";
import { type Batch, type BatchLimits, batchesOf } from "./batches.ts";
import { encodeCheckpoint } from "./checkpoint.ts";
import { logHistory } from "./open-log.ts";
import { inOutbox, wasTrimmed } from "./outbox-guard.ts";
import { judgeGap, refuseGap } from "./own-gap.ts";
import { findOutboxStart, type OutboxStart, printAt } from "./own-outbox.ts";
import { CimEvent } from "./read-event.ts";
import { EventsGone, ReaderAhead } from "./reader-errors.ts";
import type { PartLag, ReaderLag } from "./reader-lag.ts";
import { ReaderStand } from "./reader-stand.ts";
import { filtersOf, logFilters, type SubscribeOptions } from "./subscribe-options.ts";

export type { PartLag, ReaderLag } from "./reader-lag.ts";

/** Where a reader stood when nothing was here for it: behind so many events that it handed out, and all that did not match. */
export interface ReaderRest {
  readonly events: number;
  readonly checkpoint: () => string;
}

/** A node that keeps no log may begin to. */
const LOOK_FOR_LOG_MS = 1_000;
/** What the log waits for in the outbox may be trimmed. */
const LOOK_FOR_TRIM_MS = 1_000;

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
  readonly #stand: ReaderStand;
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
    this.#stand = new ReaderStand(nc, node, options);
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
    await this.#stand.begin(this.#end.signal, () => undefined);
    return this.#stand.checkpoint;
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
          this.#options.onNotice?.(`${this.#node} can't be read (${errorText(error)}); tries again`);
        const waitMs = backoffMs(attempt++, LOOPBACK_POLICY);
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Until either stream breaks. */
  async *#read(signal: AbortSignal): AsyncGenerator<CimEvent, void> {
    const nc = this.#nc;
    const node = this.#node;
    const stand = this.#stand;
    const { merge } = stand;
    merge.outboxOpen = false;
    const notice = (line: string) => this.#options.onNotice?.(line);
    const start = await stand.begin(signal, notice);
    if (signal.aborted) return;
    const before = merge.own?.seq;
    const caughtUpFrom = start ? undefined : Number.POSITIVE_INFINITY;
    let where = await findOutboxStart(nc, merge, { caughtUpFrom, logSeq: start?.startSeq, notice });
    if (merge.own?.seq !== before) this.#outboxRead = 0;
    /** Of the own events that were trimmed unread, up to where each was seen in the log. 0: it is not known what was read. */
    let seenTo = Math.max(merge.own?.seq ?? 0, this.#outboxRead);
    const gap = (first: number) => ({
      node,
      first,
      readTo: seenTo,
      backTo: stand.backTo,
      live: stand.course.standing.read.live,
      domains: stand.domains,
    });
    if (!start && where.kind === "open") await refuseGap(nc, gap(where.startSeq), undefined);
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
      const filters = logFilters(this.#filters);
      const init = { nc, stream: STREAM.events, startSeq: start.startSeq, filters };
      this.#log = new Arrivals(open.use(await new StreamReader(init).start()));
    }
    /** What the log had when the outbox was looked at. */
    let toCatchUp = this.#log?.reader.pending ?? 0;
    let triedAt: typeof merge.own;
    let outboxSeq = 0;
    /** Of the log, until the outbox has come as far. */
    let held: StoredMessage[] = [];
    /** Incarnations that are not the outbox's. */
    const foreign = new Set<number>();
    for (;;) {
      if (!this.#outbox && where.kind === "open") {
        outboxSeq = where.startSeq - 1;
        const init = { nc, stream: STREAM.outbox, startSeq: where.startSeq, filters: this.#filters };
        this.#outbox = new Arrivals(open.use(await new StreamReader(init).start()));
        merge.outboxOpen = true;
      }
      if (signal.aborted) return;
      const own = this.#outbox?.take() ?? [];
      if (own.length > 0) {
        if (await wasTrimmed(nc, own, outboxSeq)) throw new ReadAnew();
        outboxSeq = (own.at(-1) as StoredMessage).seq;
        this.#outboxRead = outboxSeq;
        this.#waiting.outbox = own.length;
        for (const message of own) {
          this.#waiting.outbox -= 1;
          const isRead = stand.isRead(message);
          const decision = merge.fromOutbox(message.seq, () => printInOutbox(node, message));
          if (decision === "deliver" && !isRead) {
            this.#lastUs.outbox = message.timeUs;
            yield this.#event(message);
          }
        }
      }
      const logged = held.length > 0 ? held : (this.#log?.take() ?? []);
      held = [];
      this.#waiting.log = logged.length;
      let taken = 0;
      for (const message of logged) {
        const origin = parseOrigin(headerValue(message.headerText, HEADER.origin));
        const print = () => printInLog(message) ?? "";
        if (origin && this.#isEarly(origin, where) && !foreign.has(origin.incarnation)) {
          const found = await inOutbox(nc, origin, print());
          if (found === "trimmed" && this.#outbox && origin.seq > this.#outboxRead) throw new ReadAnew();
          if (found === "same") {
            held = logged.slice(taken);
            break;
          }
          if (found === "other") foreign.add(origin.incarnation);
        }
        taken += 1;
        this.#waiting.log -= 1;
        const course = stand.take(message);
        if (!origin) continue;
        if (origin.lane === "c") {
          // It is in no outbox: there is but one way to the reader.
          if (course === "passed") continue;
          this.#lastUs.log = message.timeUs;
          yield this.#event(message);
          continue;
        }
        if (origin.node === node) {
          stand.came(origin.seq);
          if (origin.seq === seenTo + 1) seenTo += 1;
        }
        if (course === "passed") continue;
        const late = course === "late";
        let decision = merge.fromLog(origin, print, { late, all: stand.hasAll });
        if (decision === "ask") {
          const there = await printAt(nc, node, origin.seq);
          const same = there === undefined ? undefined : there === print();
          decision = merge.answered(origin, print, same, late);
        }
        if (decision === "deliver") {
          this.#lastUs.log = message.timeUs;
          yield this.#event(message);
        }
      }
      if (!this.#outbox && where.kind === "after-log") {
        toCatchUp -= taken;
        const { first } = where;
        // An own event that the outbox still has: what was trimmed came before it.
        if (held.length > 0) stand.came(first);
        if (held.length > 0 || toCatchUp <= 0 || this.#log?.waiting === 0) {
          const verdict = judgeGap(gap(first));
          if (verdict !== "wait") {
            if (verdict === "doubtful") await refuseGap(nc, gap(first), await logHistory(nc));
            const logSeq = (stand.course.standing.local?.seq ?? 0) + 1;
            where = await findOutboxStart(nc, merge, { caughtUpFrom: first, logSeq, notice });
            if (where.kind === "after-log") throw new ReadAnew();
            continue;
          }
        }
      } else if (!this.#outbox && merge.own !== triedAt) {
        triedAt = merge.own;
        const logSeq = (stand.course.standing.local?.seq ?? 0) + 1;
        where = await findOutboxStart(nc, merge, { caughtUpFrom: undefined, logSeq, notice });
        if (where.kind === "after-log") throw new ReadAnew();
        if (where.kind === "open") continue;
      }
      if (own.length + taken > 0) continue;
      if (held.length > 0) {
        await this.#arrives([this.#outbox], LOOK_FOR_TRIM_MS);
        continue;
      }
      const standing = stand.standing;
      this.#rest = { events: this.#events, checkpoint: () => encodeCheckpoint(standing) };
      if (start) await this.#arrives([this.#outbox, this.#log]);
      else if (!(await this.#arrives([this.#outbox], LOOK_FOR_LOG_MS)) && (await logHistory(nc)))
        throw new ReadAnew();
    }
  }

  /** An own event of the log that is to come from the outbox, by its order. */
  #isEarly(origin: Origin, where: OutboxStart): boolean {
    // Where the log has every domain, what it has not yet had of the outbox is younger.
    if (origin.node !== this.#node || origin.lane === "c" || this.#stand.hasAll) return false;
    if (this.#outbox) return this.#stand.merge.isAhead(origin);
    return where.kind === "after-log" && origin.seq >= where.first;
  }

  /** Waits for any of these. @returns false: none came in time */
  #arrives(streams: readonly (Arrivals | undefined)[], timeoutMs?: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs, false);
      const came = () => {
        clearTimeout(timer);
        resolve(true);
      };
      for (const stream of streams) stream?.whenHere(came);
    });
  }

  #event(message: StoredMessage): CimEvent {
    this.#events += 1;
    return new CimEvent(message, this.#node, this.#stand.standing);
  }
}
