import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf, readReignHistory, type StreamHistory } from "../../shared/follow/read-history.ts";
import { lastCommonPosition, sequenceAtIndex } from "../../shared/follow/reign-history.ts";
import { StreamFeed } from "../../shared/follow/stream-feed.ts";
import { type OutgoingMessage, WRONG_LAST_SEQUENCE } from "../../shared/nats/batch-publisher.ts";
import { FlowWindow } from "../../shared/nats/flow-window.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { apiPrefix } from "../../shared/nats/jetstream-api.ts";
import { backoffMs, LOOPBACK_POLICY } from "../../shared/nats/reconnect-policy.ts";
import { copyConsumer } from "../../shared/nats/server-rights.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Log } from "../../shared/observe/log.ts";
import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../shared/protocol/control-records.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { type LaneMark, parseOrigin, printOf } from "../../shared/protocol/origin.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { domainFilter, SUBJECT, storedLogSubject } from "../../shared/protocol/subjects.ts";
import { shippedFromLog } from "../uplink/own-events.ts";
import type { RefusedEvents } from "../uplink/refused-events.ts";
import type { IsKept } from "../uplink/uplink.ts";
import { planCopy } from "./copy-domains.ts";
import { CopyFill } from "./copy-fill.ts";
import { deleteStrays, domainsInCopy, purgeCopy, straysBeyond } from "./copy-mending.ts";
import { trimCopy } from "./copy-retention.ts";
import { copyRecordMessage, readCopyState, removeForeignEnd } from "./copy-state.ts";
import { CopyWriter, type OnWritten } from "./copy-writer.ts";
import { DownlinkMachine, type DownlinkOutput } from "./downlink-machine.ts";

export interface DownlinkInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
  /** Domains the copy shall hold; `*` for all. */
  readonly domains: readonly string[];
  /** What may be on its way over the link, as a time to drain, ms. */
  readonly drainMs: number;
  readonly conditions: Conditions;
  readonly log: Log;
  readonly refused: RefusedEvents;
  /** Ships own events again; tells then which of them need not be kept elsewhere. */
  readonly reship: (isWanted: () => boolean) => Promise<IsKept | undefined>;
  /** Following goes on from what the copy has, or stops. */
  readonly onFollowed: (followed: boolean) => void;
  /** The copy holds nothing at all. */
  readonly onEmpty: () => void;
  /** So many messages that no daemon wrote were taken out of the copy. */
  readonly onForeign: (count: number) => void;
  readonly onCopied: (events: number, own: LaneMark | undefined, newestMs: number) => void;
  readonly onWritten?: OnWritten;
}

const BATCH_EVENTS = 990;
const BATCH_BYTES = 4 * 1024 * 1024;
const MAX_QUEUE_BYTES = 2 * 1024 * 1024;
/** A satellite's round trip and a busy server. */
const HUB_TIMEOUT_MS = 2000;
/** Nothing foreign stays at a quiet copy's end for longer; one small request to the node's own server. */
const LOOK_EVERY_MS = 2000;
/** The log is purged once an hour. */
const TRIM_EVERY_MS = 3_600_000;

/** Runs the downlink's machine: keeps the node's copy of the log. */
export class Downlink {
  readonly #init: DownlinkInit;
  readonly #writer: CopyWriter;
  readonly #window: FlowWindow;
  readonly #machine: DownlinkMachine;
  readonly #feed = new StreamFeed();
  readonly #fill: CopyFill;
  readonly #end = new AbortController();
  #record: CopyRecord = { live: [], at: null, filling: null };
  #copy: StreamHistory | undefined;
  #log: StreamHistory | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #trimTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #prepared = false;
  /** What it holds nothing of was let go of here, and not lost. */
  #emptied = false;
  /** Messages that were taken out of the copy since this start. */
  #foreign = 0;

  constructor(init: DownlinkInit) {
    this.#init = init;
    this.#writer = new CopyWriter(init.nc, init.onWritten);
    this.#window = new FlowWindow({
      first: 64 * 1024,
      least: 8 * 1024,
      most: MAX_QUEUE_BYTES,
      drainMs: init.drainMs,
    });
    this.#machine = new DownlinkMachine({
      everything: () => this.#record.live.includes(ALL_DOMAINS),
      batchEvents: BATCH_EVENTS,
      batchBytes: BATCH_BYTES,
      maxQueueBytes: MAX_QUEUE_BYTES,
    });
    this.#fill = new CopyFill({
      ...init,
      writer: this.#writer,
      window: this.#window,
      pause: () => this.#pause(),
      finished: (record) => this.#filled(record),
      interrupted: () => {
        this.#run(this.#machine.lost());
        this.#retry();
      },
      startSeq: (index) => (this.#log ? sequenceAtIndex(this.#log, index) : undefined),
    });
  }

  /** Last message durably in the copy. */
  get position(): LogPosition | undefined {
    return this.#machine.position;
  }

  get phase(): string {
    return this.#fill.active ? "filling" : this.#machine.phase;
  }

  get domains(): readonly string[] {
    return this.#record.live;
  }

  /** Lets go of the copy and fills it from the log again; false: not now, as it does not follow the log. */
  refill(): boolean {
    if (this.#fill.active) return false;
    const outputs = this.#machine.refill();
    if (outputs.length > 0) this.#init.log.warn("the copy is filled from the log again, as was asked for");
    this.#run(outputs);
    return outputs.length > 0;
  }

  start(): void {
    this.#trimTimer = setInterval(() => void this.#lookAtLogStart().catch(() => undefined), TRIM_EVERY_MS);
    this.#trimTimer.unref();
    this.#lookTimer = setInterval(() => void this.#lookAtEnd().catch(() => undefined), LOOK_EVERY_MS);
    this.#lookTimer.unref();
    this.linkUp();
  }

  linkUp(): void {
    if (this.#end.signal.aborted) return;
    this.#attempt = 0;
    clearTimeout(this.#retryTimer);
    this.#run(this.#machine.begin());
  }

  linkDown(): void {
    if (this.#end.signal.aborted) return;
    this.#window.lost();
    this.#run(this.#machine.lost());
    this.#retry();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    clearInterval(this.#trimTimer);
    clearInterval(this.#lookTimer);
    clearTimeout(this.#retryTimer);
    this.#fill.stop();
    this.#run(this.#machine.lost());
    this.#feed.end("ended");
    await this.#feed.settled();
  }

  #run(outputs: readonly DownlinkOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
    if (this.#machine.hungry) this.#feed.wake();
  }

  #carryOut(output: DownlinkOutput): void {
    const { conditions } = this.#init;
    switch (output.do) {
      case "survey":
        void this.#try(output.token, () => this.#survey(output.token));
        return;
      case "read":
        this.#init.onFollowed(true);
        this.#read(output.fromSeq);
        if (this.#record.filling) this.#fill.start(this.#record);
        return;
      case "stop-reading":
        this.#init.onFollowed(false);
        this.#fill.stop();
        this.#feed.end("following starts over");
        return;
      case "write":
        void this.#write(output.messages, output.last);
        return;
      case "discard":
        void this.#try(output.token, () => this.#discard(output.token, output.beyond));
        return;
      case "empty":
        void this.#try(output.token, () => this.#empty(output.token));
        return;
      case "wait":
        this.#retry();
        return;
      case "raise":
        conditions.raise(output.code, output.detail);
        this.#init.log.warn(
          { condition: output.code, detail: output.detail },
          "the copy does not continue the log",
        );
    }
  }

  async #try(token: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // What began meanwhile is none of an old question's business.
      if (this.#end.signal.aborted || !this.#machine.awaits(token)) return;
      this.#init.log.debug({ err: error, token }, "the copy or the log can't be read");
      this.#run(this.#machine.lost());
      this.#retry();
    }
  }

  async #survey(token: number): Promise<void> {
    const { nc, inboxPrefix, hubDomain } = this.#init;
    await this.#writer.sync();
    // After that: whatever comes now is met by the next write, which expects the end as it was.
    this.#tellForeign(await removeForeignEnd(nc, inboxPrefix));
    if (!this.#prepared) await this.#prepare();
    const state = await readCopyState(nc);
    // The hub first: while it is away, nothing else need be read.
    const found = await readReignHistory({
      nc,
      inboxPrefix,
      domain: hubDomain,
      timeoutMs: HUB_TIMEOUT_MS,
    });
    const copy = await readReignHistory({ nc, inboxPrefix });
    if (!this.#machine.awaits(token)) return;
    if (state.record) this.#record = state.record;
    if (state.position) this.#emptied = false;
    else if (!this.#emptied) this.#init.onEmpty();
    this.#writer.followed = state.position;
    this.#copy = { ...copy, last: state.position };
    this.#log = found;
    const log = { ...this.#log, firstIndex: this.#log.reigns[0]?.index ?? 0 };
    this.#run(this.#machine.surveyed(token, { copy: this.#copy, log }));
    if (this.#machine.phase === "following") this.#trim(log.firstIndex);
  }

  async #lookAtEnd(): Promise<void> {
    if (this.#machine.phase !== "following" || this.#fill.active || (await this.#writer.untouched())) return;
    if (this.#machine.phase === "following") this.#run(this.#machine.begin());
  }

  #tellForeign(subjects: readonly string[]): void {
    if (subjects.length === 0) return;
    this.#foreign += subjects.length;
    const subject = subjects[0] as string;
    this.#init.log.warn({ subjects: subjects.slice(0, 3) }, "no daemon wrote these messages of the copy");
    this.#init.conditions.raise("copy-foreign", { count: this.#foreign, subject });
    this.#init.onForeign(subjects.length);
  }

  /** The log was purged: the copy need not be larger. Nothing waits for it. */
  #trim(logFirstIndex: number): void {
    const { nc, inboxPrefix, log } = this.#init;
    // While a domain is filled in, how far that came is only in the copy's newest record.
    if (this.#record.filling) return;
    const keepRecord = async () => {
      await this.#writer.write(() => [
        copyRecordMessage({ ...this.#record, at: this.#writer.followed ?? null }),
      ]);
    };
    trimCopy(nc, inboxPrefix, logFirstIndex, keepRecord).then(
      (purged) => purged > 0 && log.info({ purged }, "let go of what the log no longer has"),
      (error: unknown) => log.debug({ err: error }, "the copy could not be trimmed, tries again"),
    );
  }

  async #lookAtLogStart(): Promise<void> {
    const { nc, hubDomain: domain } = this.#init;
    if (this.#machine.phase !== "following") return;
    const options = { prefix: apiPrefix(domain), timeoutMs: HUB_TIMEOUT_MS };
    const first = await getMessage(nc, STREAM.events, { seq: 1, next_by_subj: SUBJECT.allEvents }, options);
    this.#trim(positionOf(first)?.index ?? 0);
  }

  /** Brings the copy's domains to what is configured: drops what went, notes what is to be filled. */
  async #prepare(): Promise<void> {
    const { nc, inboxPrefix, domains, log } = this.#init;
    const { record, position } = await readCopyState(nc);
    if (!record) {
      await this.#note({ live: [...domains], at: position ?? null, filling: null });
      this.#prepared = true;
      return;
    }
    const { live, filling, purge } = planCopy(record, domains);
    const next: CopyRecord = { live: [...live], at: position ?? null, filling };
    if (purge) {
      // Noted before anything goes: with other domains wanted after a crash, what is gone is not taken for there.
      await this.#note({ ...next, purging: true });
      for (const domain of await domainsInCopy(nc, inboxPrefix)) {
        if (
          followsDomain(live, domain) ||
          (filling && filling.done > 0 && followsDomain(filling.domains, domain))
        )
          continue;
        log.info({ domain }, "drops a domain from the copy");
        await purgeCopy(nc, domainFilter(domain));
      }
    }
    if (JSON.stringify(next) !== JSON.stringify(record)) await this.#note(next);
    // Only now: what the run before still had under way may have refused the note.
    this.#prepared = true;
  }

  async #note(record: CopyRecord): Promise<void> {
    const result = await this.#writer.write(() => [copyRecordMessage(record)]);
    if (result.kind !== "stored") throw new Error(`the copy's record was not stored: ${result.reason}`);
    this.#record = record;
  }

  #read(fromSeq: number): void {
    const { nc, inboxPrefix, hubDomain, node, log } = this.#init;
    const { live } = this.#record;
    const filters = live.includes(ALL_DOMAINS) ? [] : [...live.map(domainFilter), SUBJECT.controlRecords];
    this.#feed.begin({
      open: () =>
        new StreamReader({
          nc,
          inboxPrefix,
          stream: STREAM.events,
          domain: hubDomain,
          consumerName: copyConsumer(node),
          startSeq: fromSeq,
          filters,
          window: this.#window,
          timeoutMs: HUB_TIMEOUT_MS,
        }).start(),
      take: (messages) => {
        this.#attempt = 0;
        this.#run(this.#machine.offer(messages));
      },
      hungry: () => this.#machine.hungry,
      broken: (error) => {
        if (this.#end.signal.aborted) return;
        log.debug({ err: error }, "the log can't be read, matches again");
        this.#run(this.#machine.lost());
        this.#retry();
      },
    });
  }

  async #write(messages: readonly OutgoingMessage[], last: LogPosition): Promise<void> {
    const result = await this.#writer
      .write(() => messages, last)
      .catch((error: unknown) => ({
        kind: "unknown" as const,
        reason: String(error),
      }));
    // Not when the copy has become doubtful meanwhile.
    if (result.kind === "stored") {
      if (this.#machine.phase === "following") this.#report(messages);
      this.#init.conditions.clear("copy-full");
    } else {
      this.#init.log.warn({ result }, "a batch was not stored in the copy as expected");
      const full = result.kind === "refused" && result.errCode !== WRONG_LAST_SEQUENCE;
      if (full) this.#init.conditions.raise("copy-full", { error: result.reason });
    }
    this.#run(this.#machine.written(result));
  }

  #report(messages: readonly OutgoingMessage[]): void {
    let own: OutgoingMessage | undefined;
    let newestMs = 0;
    for (const message of messages) {
      const { headerText } = message;
      const time = headerValue(headerText, HEADER.time);
      if (time === undefined) continue;
      newestMs = Math.max(newestMs, Math.floor(Number(time.split(" ")[0]) / 1000));
      const origin = parseOrigin(headerValue(headerText, HEADER.origin));
      if (origin?.node === this.#init.node && origin.lane === "e") own = message;
    }
    const stored = own && { ...own, subject: storedLogSubject(own.subject), seq: 0, timeUs: 0 };
    const event = stored && shippedFromLog(this.#init.node, stored);
    const mark = event && { seq: event.seq, print: printOf(event) };
    this.#init.onCopied(messages.length, mark, newestMs);
  }

  async #discard(token: number, beyond: number): Promise<void> {
    const { nc, inboxPrefix, node, refused, log } = this.#init;
    const strays = await straysBeyond(nc, inboxPrefix, beyond);
    const isWanted = () => !this.#end.signal.aborted && this.#machine.awaits(token);
    const hasOwn = strays.some(({ origin }) => origin?.node === node);
    const isKept: IsKept = (hasOwn && (await this.#init.reship(isWanted))) || (async () => false);
    // The link was lost meanwhile: copy and log are compared anew, and may be found to agree.
    if (!isWanted()) return;
    await this.#moveEnd();
    await deleteStrays(nc, strays, async (message, { origin }) => {
      if (!origin || (origin.node === node && (await isKept(message)))) return;
      const lane = origin.lane === "e" ? "" : `${origin.lane}.`;
      const key = `${origin.node}.${lane}${origin.incarnation}.${origin.seq}`;
      await refused.fromCopy(message, "not-in-log", key);
    });
    log.warn({ events: strays.length, beyond }, "set aside what the log does not have");
    const common = this.#copy && this.#log ? lastCommonPosition(this.#copy, this.#log) : undefined;
    await this.#writer.sync();
    const { live, filling } = this.#record;
    const done = filling && { ...filling, done: Math.min(filling.done, beyond) };
    await this.#note({ live, at: common ?? null, filling: done });
    this.#run(this.#machine.discarded(token, true));
  }

  /**
   * Deleting does not move the copy's end: a write of before that is still on its way would be stored behind what is left.
   * After a message that came and went it expects another end.
   */
  async #moveEnd(): Promise<void> {
    await this.#writer.sync();
    const record = copyRecordMessage({ ...this.#record, at: this.#copy?.last ?? null });
    const result = await this.#writer.write(() => [record]);
    if (result.kind !== "stored") throw new Error(`the copy's end was not moved: ${result.reason}`);
    await deleteStrays(this.#init.nc, [{ seq: result.lastSeq, origin: undefined }], async () => undefined);
  }

  async #empty(token: number): Promise<void> {
    this.#emptied = true;
    await purgeCopy(this.#init.nc, undefined);
    await this.#writer.sync();
    await this.#note({ live: [...this.#init.domains], at: null, filling: null });
    this.#run(this.#machine.discarded(token, true));
  }

  /** Stops following where it stands, so that filling can come to the same point. */
  async #pause(): Promise<void> {
    this.#feed.end("a new domain is being filled in");
    while (!this.#machine.idle) {
      await this.#writer.sync();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #filled(record: CopyRecord): void {
    this.#record = record;
    this.#run(this.#machine.begin());
  }

  #retry(): void {
    if (this.#end.signal.aborted) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(
      () => this.#run(this.#machine.begin()),
      backoffMs(this.#attempt++, LOOPBACK_POLICY),
    );
  }
}
