import { createInbox, nuid } from "@nats-io/nats-core";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { type StoredMessage, weightOf } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { onceLost } from "./connection-lost.ts";
import type { FlowWindow } from "./flow-window.ts";
import { apiPrefix, JetStreamRefused, jetStreamApi } from "./jetstream-api.ts";
import { deliveredBytes, headerTextOf } from "./raw-message.ts";
import { parseStoredAt } from "./stored-at.ts";

/** The reader can't go on: its consumer, connection or link is gone, or a message was missed. Start a new one. */
export class ReaderBroken extends Error {
  override readonly name = "ReaderBroken";
}

export interface StreamReaderInit {
  readonly nc: NatsConnection;
  readonly stream: string;
  /** First sequence to be read. */
  readonly startSeq: number;
  /** JetStream domain when the stream is another server's. */
  readonly domain?: string;
  /** Subjects; none: all. */
  readonly filters?: readonly string[];
  /** A fixed consumer name where rights name it. Another consumer of that name is replaced. */
  readonly consumerName?: string;
  /** How much may wait in memory, bytes; one message may exceed it. */
  readonly bufferBytes?: number;
  /** How much may be on its way over a link; shared by readers of that link. */
  readonly window?: FlowWindow;
  /** Silence after which the consumer is taken for dead, ms. */
  readonly silenceMs?: number;
  /** Bound on the requests that set it up, ms. */
  readonly timeoutMs?: number;
  /** What the connection may subscribe to for answers. */
  readonly inboxPrefix?: string;
  /** Bodies are left out. */
  readonly headersOnly?: boolean;
}

const DEFAULT_BUFFER_BYTES = 2 * 1024 * 1024;
const PULL_MESSAGES = 2000;
const PULL_EXPIRES_MS = 30_000;
/** A backlog that stands still for so long is counted again. */
const RECOUNT_MS = 2000;
const NS_PER_MS = 1_000_000;

/**
 * Reads a stream in order from a sequence, live, with a pull consumer in memory and no acknowledgements: the position is
 * the reader's. What waits is bounded in bytes because no more than that is ever asked for. It never skips: a gap in the
 * consumer's own numbering breaks it.
 */
export class StreamReader {
  readonly #init: StreamReaderInit;
  readonly #name: string;
  readonly #prefix: string;
  readonly #bufferBytes: number;
  #subscription: Subscription | undefined;
  #inbox = "";
  #buffer: StoredMessage[] = [];
  #bufferedBytes = 0;
  #requested = 0;
  /** What the pull under way may still bring, as the server counts it. */
  #bytesLeft = 0;
  #consumerSeq = 0;
  #largeMessage = false;
  /** What the pull under way brought so far, and since when. */
  #pulledBytes = 0;
  #firstAtMs = 0;
  /** More waited at the server all the time: how long it took is the link's doing, not the writers'. */
  #saturated = false;
  #broken: Error | undefined;
  #wake: (() => void) | undefined;
  #lastHeardMs = 0;
  #silenceTimer: NodeJS.Timeout | undefined;
  #forget: (() => void) | undefined;
  /** Messages of the stream that match and have not been delivered, as of the newest delivery. */
  pending = 0;

  constructor(init: StreamReaderInit) {
    this.#init = init;
    this.#name = init.consumerName ?? `r-${nuid.next()}`;
    this.#prefix = apiPrefix(init.domain);
    this.#bufferBytes = init.bufferBytes ?? DEFAULT_BUFFER_BYTES;
  }

  /** @throws JetStreamRefused, or the client's error when the stream's server does not answer. */
  async start(): Promise<this> {
    const { nc, stream, filters = [], timeoutMs = 2000 } = this.#init;
    const options = { prefix: this.#prefix, timeoutMs };
    if (this.#init.consumerName !== undefined) {
      await jetStreamApi(nc, `CONSUMER.DELETE.${stream}.${this.#name}`, undefined, options).catch(
        (error: unknown) => {
          if (!(error instanceof JetStreamRefused && error.code === 404)) throw error;
        },
      );
    }
    const config = {
      name: this.#name,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: Math.max(1, this.#init.startSeq),
      replay_policy: "instant",
      mem_storage: true,
      num_replicas: 1,
      headers_only: this.#init.headersOnly ?? false,
      // Long enough to outlive a pull's refill, short enough not to pile up behind crashed readers.
      inactive_threshold: 60_000 * NS_PER_MS,
      ...(filters.length === 1 ? { filter_subject: filters[0] } : {}),
      ...(filters.length > 1 ? { filter_subjects: filters } : {}),
    };
    const suffix = filters.length === 1 ? `.${filters[0]}` : "";
    const created = await jetStreamApi<{ num_pending: number }>(
      nc,
      `CONSUMER.CREATE.${stream}.${this.#name}${suffix}`,
      { stream_name: stream, config, action: "create" },
      options,
    );
    this.pending = created.num_pending;
    this.#inbox = createInbox(this.#init.inboxPrefix ?? "_INBOX");
    this.#subscription = nc.subscribe(this.#inbox, {
      callback: (error, message) => this.#onMessage(error, message),
    });
    this.#forget = onceLost(nc, () => this.break("the connection is lost"));
    this.#watchSilence();
    this.#pull();
    return this;
  }

  /** Matching messages that were not taken, here and at the server, as of the newest delivery. */
  get waiting(): number {
    return this.pending + this.#buffer.length;
  }

  /** Next messages in order, at least one. @throws ReaderBroken */
  async next(maxMessages = Number.POSITIVE_INFINITY): Promise<StoredMessage[]> {
    while (this.#buffer.length === 0) {
      if (this.#broken) throw this.#broken;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.take(maxMessages);
  }

  /** What there is by now, up to a sequence; ends there, also when some of it is deleted meanwhile. @throws ReaderBroken */
  async *backlog(upTo: number, maxMessages = Number.POSITIVE_INFINITY): AsyncGenerator<StoredMessage[]> {
    while (this.pending > 0 || this.#buffer.length > 0) {
      if (this.#buffer.length === 0 && !(await this.#arrival(RECOUNT_MS))) {
        // What was counted may have been purged: then nothing more comes, and nobody says so.
        if (this.#buffer.length === 0) this.pending = await this.#countPending();
        continue;
      }
      const messages = this.take(maxMessages);
      const within = messages.filter(({ seq }) => seq <= upTo);
      if (within.length > 0) yield within;
      if (within.length < messages.length || within.at(-1)?.seq === upTo) return;
    }
  }

  /** Whether something came within a time. @throws ReaderBroken */
  async #arrival(timeoutMs: number): Promise<boolean> {
    if (this.#broken) throw this.#broken;
    let timer: NodeJS.Timeout | undefined;
    const inTime = await new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true);
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    clearTimeout(timer);
    if (this.#broken) throw this.#broken;
    return inTime;
  }

  async #countPending(): Promise<number> {
    const { nc, stream, timeoutMs = 2000 } = this.#init;
    const options = { prefix: this.#prefix, timeoutMs };
    const info = await jetStreamApi<{ num_pending: number; delivered: { consumer_seq: number } }>(
      nc,
      `CONSUMER.INFO.${stream}.${this.#name}`,
      undefined,
      options,
    );
    // What the server sent and a slow link has not yet brought is still to come.
    return info.num_pending + Math.max(0, info.delivered.consumer_seq - this.#consumerSeq);
  }

  /** What is here already, possibly nothing. */
  take(maxMessages = Number.POSITIVE_INFINITY): StoredMessage[] {
    const taken = this.#buffer.length <= maxMessages ? this.#buffer : this.#buffer.slice(0, maxMessages);
    this.#buffer = taken === this.#buffer ? [] : this.#buffer.slice(taken.length);
    for (const message of taken) this.#bufferedBytes -= weightOf(message);
    if (!this.#broken) this.#pull();
    return taken;
  }

  /** Ends it from outside, as when the link it reads over went down. */
  break(reason: string): void {
    if (this.#broken) return;
    this.#broken = new ReaderBroken(`${this.#init.stream}: ${reason}`);
    clearInterval(this.#silenceTimer);
    this.#forget?.();
    this.#subscription?.unsubscribe();
    this.#wakeUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.break("ended");
    this.#buffer = [];
    const { nc, stream } = this.#init;
    if (nc.isClosed()) return;
    // The server forgets it by itself after inactive_threshold; half a second is for being tidy, not for being sure.
    await jetStreamApi(nc, `CONSUMER.DELETE.${stream}.${this.#name}`, undefined, {
      prefix: this.#prefix,
      timeoutMs: 500,
    }).catch(() => undefined);
  }

  #onMessage(error: Error | null, message: Msg): void {
    if (this.#broken) return;
    if (error) {
      this.break(error.message);
      return;
    }
    this.#lastHeardMs = performance.now();
    const at = message.reply ? parseStoredAt(message.reply) : undefined;
    if (!at) {
      this.#onStatus(message);
      return;
    }
    if (at.consumerSeq !== this.#consumerSeq + 1) {
      this.break(`message ${this.#consumerSeq + 1} of the consumer was missed, ${at.consumerSeq} came`);
      return;
    }
    this.#consumerSeq = at.consumerSeq;
    this.pending = at.pending;
    if (at.pending === 0) this.#saturated = false;
    this.#bytesLeft -= deliveredBytes(message);
    // A pull whose bytes are used up to the last one ends there, and the server says so of every other end only.
    this.#requested = this.#bytesLeft <= 0 ? 0 : Math.max(0, this.#requested - 1);
    this.#largeMessage = false;
    if (this.#pulledBytes === 0) this.#firstAtMs = this.#lastHeardMs;
    const stored: StoredMessage = {
      seq: at.streamSeq,
      timeUs: at.timeUs,
      subject: message.subject,
      headerText: headerTextOf(message),
      body: message.data,
    };
    this.#buffer.push(stored);
    const weight = weightOf(stored);
    this.#bufferedBytes += weight;
    this.#pulledBytes += weight;
    this.#pull();
    this.#wakeUp();
  }

  #onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? "";
    if (code === 100) return;
    if (code === 404 || code === 408 || (code === 409 && /batch completed|maxbytes/i.test(description))) {
      const unused = Number(headerValue(headerTextOf(message), "Nats-Pending-Messages") ?? this.#requested);
      this.#requested = Math.max(0, this.#requested - unused);
      // A message larger than the whole buffer is asked for alone and without a bound.
      if (/message size exceeds/i.test(description)) this.#largeMessage = true;
      this.#pull();
      return;
    }
    // 503: nobody has the stream any more. Other 409: consumer deleted, leadership changed, server shutting down.
    this.break(`${code} ${description}`);
  }

  #pull(): void {
    if (this.#broken || !this.#subscription) return;
    const room = this.#bufferBytes - this.#bufferedBytes;
    if (this.#requested > 0 || room < this.#bufferBytes / 2) return;
    const { window } = this.#init;
    if (this.#saturated && this.#pulledBytes > 0) {
      window?.drained(this.#pulledBytes, this.#lastHeardMs - this.#firstAtMs);
    }
    this.#pulledBytes = 0;
    this.#saturated = true;
    this.#requested = this.#largeMessage ? 1 : PULL_MESSAGES;
    this.#lastHeardMs = performance.now();
    const maxBytes = Math.floor(Math.min(room, window?.bytes ?? room));
    this.#bytesLeft = this.#largeMessage ? Number.POSITIVE_INFINITY : maxBytes;
    const request = {
      batch: this.#requested,
      expires: PULL_EXPIRES_MS * NS_PER_MS,
      idle_heartbeat: this.#heartbeatMs() * NS_PER_MS,
      ...(!this.#largeMessage && { max_bytes: maxBytes }),
    };
    this.#init.nc.publish(
      `${this.#prefix}.CONSUMER.MSG.NEXT.${this.#init.stream}.${this.#name}`,
      JSON.stringify(request),
      { reply: this.#inbox },
    );
  }

  #heartbeatMs(): number {
    return Math.min(PULL_EXPIRES_MS / 2, (this.#init.silenceMs ?? 10_000) / 2.5);
  }

  #watchSilence(): void {
    const silenceMs = this.#init.silenceMs ?? 10_000;
    this.#lastHeardMs = performance.now();
    this.#silenceTimer = setInterval(() => {
      if (this.#requested > 0 && performance.now() - this.#lastHeardMs > silenceMs) {
        this.break(`nothing heard of the consumer for ${silenceMs} ms`);
      }
    }, silenceMs / 4);
    this.#silenceTimer.unref();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
