import { type NatsConnection, NoRespondersError, RequestError } from "@nats-io/transport-node";
import { StreamFeed } from "../../shared/follow/stream-feed.ts";
import { liveRequest } from "../../shared/nats/live-request.ts";
import { backoffMs, LOOPBACK_POLICY } from "../../shared/nats/reconnect-policy.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Log } from "../../shared/observe/log.ts";
import { encodeBlock } from "../../shared/protocol/block.ts";
import { type StoredMessage, weightOf } from "../../shared/protocol/event.ts";
import { type IngestReply, ingestReply } from "../../shared/protocol/messages.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LaneMark } from "../../shared/protocol/origin.ts";
import type { Reign } from "../../shared/protocol/reign.ts";
import { ingestSubject } from "../../shared/protocol/subjects.ts";
import { BlockPace } from "./block-pace.ts";
import { OwnEvents, shippedFromOutbox } from "./own-events.ts";
import { RefusedEvents } from "./refused-events.ts";
import { UplinkMachine } from "./uplink-machine.ts";
import type { UplinkOutput } from "./uplink-output.ts";

/** Whether the log or the outbox has an own event that the copy has. */
export type IsKept = (message: StoredMessage) => Promise<boolean>;

export interface UplinkInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly inboxPrefix: string;
  /** The node keeps a copy, from which trimmed events can be shipped again. */
  readonly hasCopy: boolean;
  /** Highest reign that the copy knows. */
  readonly seen?: Reign;
  /** What may be on its way over the link, as a time to drain, ms. */
  readonly drainMs: number;
  readonly conditions: Conditions;
  readonly log: Log;
  /** 0: nothing is known any more. */
  readonly onConfirmed: (seq: number) => void;
  readonly onBlock: (events: number, bytes: number) => void;
  /** Shipping begins behind that sequence: what the log has of this node. */
  readonly onShipping?: (mark: number) => void;
}

/** Small ones; of large ones two keep the pipe full, and more would make thirty times the work. */
const MAX_IN_FLIGHT = 4;
/** The next two blocks; what comes after them is faster read than kept. */
const MAX_QUEUE_BYTES = 1024 * 1024;
/** The own server answers in a millisecond: nothing is gained by more, and memory is scarce. */
const READ_BYTES = 512 * 1024;
/** Something has to be changed by a person first. */
const SLOW_RETRY_MS = 10_000;
/** A greeting is a few hundred bytes; a satellite link needs 0.6 s, a hub that reads its log a little more. */
const ASK_TIMEOUT_MS = 3000;
/** Nobody listening is said at once by the own server; that says nothing of the link. */
const NO_RESPONDERS_MS = 1000;
/** The hub reads its whole log to answer. */
const PRINTS_TIMEOUT_MS = 60_000;

/** Runs the uplink's machine: reads the outbox, ships blocks, hears what became of them. */
export class Uplink {
  readonly #init: UplinkInit;
  readonly #machine: UplinkMachine;
  readonly #pace: BlockPace;
  readonly #own: OwnEvents;
  readonly #refused: RefusedEvents;
  readonly #feed = new StreamFeed();
  #fed: (() => void) | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #shipping = 0;
  #linkRun = 0;
  #settingAside: Promise<void> = Promise.resolve();
  readonly #watchers: (() => void)[] = [];
  /** What was confirmed holds for one greeting. */
  #greeting = 0;
  #ended = false;

  constructor(init: UplinkInit) {
    this.#init = init;
    this.#pace = new BlockPace(init.drainMs);
    this.#own = new OwnEvents(init);
    this.#refused = new RefusedEvents(init.nc, init.node);
    this.#machine = new UplinkMachine(
      { maxInFlight: MAX_IN_FLIGHT, blockBytes: () => this.#pace.blockBytes, maxQueueBytes: MAX_QUEUE_BYTES },
      init.seen,
    );
  }

  get incarnation(): number {
    return this.#machine.incarnation;
  }

  get phase(): string {
    return this.#machine.phase;
  }

  get seen(): Reign | undefined {
    return this.#machine.seen;
  }

  get accepted(): number {
    return this.#machine.accepted;
  }

  get confirmed(): number {
    return this.#machine.confirmed;
  }

  start(): void {
    this.linkUp();
  }

  /** The link or the server is back: do not wait for the next try. */
  linkUp(): void {
    if (this.#ended) return;
    this.#pace.relinked();
    this.#attempt = 0;
    clearTimeout(this.#retryTimer);
    this.#run(this.#machine.begin());
  }

  /** What is on its way will not be answered. Tries go on: a link may be back before anybody says so. */
  linkDown(): void {
    if (this.#shipping > 0) this.#pace.unanswered();
    this.#linkRun += 1;
    this.#startOver();
  }

  /**
   * Greets the log anew and waits until all own events are in it or in the outbox. Gives what tells of an event of the copy
   * whether it is one of those; undefined: it is no longer wanted.
   */
  async reshipped(isWanted: () => boolean): Promise<IsKept | undefined> {
    this.linkUp();
    while (isWanted() && !this.#machine.refilled) await this.#changed();
    // After the greeting, which may have found no way (an operator accepted the hole), and before anything is deleted.
    const path = isWanted() ? await this.#own.copyPath() : undefined;
    return path && ((message) => this.#own.isKept(path, message));
  }

  /** Something happened, or a quarter of a second passed. */
  #changed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 250);
      this.#watchers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The newest own event that came back in the copy. */
  newestInCopy(): Promise<LaneMark | undefined> {
    return this.#own.newestInCopy();
  }

  acceptHole(after: number, before: number): boolean {
    const outputs = this.#machine.acceptHole(after, before);
    this.#run(outputs);
    return outputs.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#retryTimer);
    this.#run(this.#machine.lost());
    this.#feed.end("ended");
    await this.#feed.settled();
    await this.#settingAside;
  }

  #run(outputs: readonly UplinkOutput[]): void {
    for (const output of outputs) this.#carryOut(output);
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (!this.#machine.hungry) return;
    this.#feed.wake();
    const fed = this.#fed;
    this.#fed = undefined;
    fed?.();
  }

  #carryOut(output: UplinkOutput): void {
    switch (output.do) {
      case "survey":
        this.#look(
          output.token,
          () => this.#own.range(),
          (range) => this.#machine.surveyed(output.token, range),
        );
        return;
      case "ask": {
        const timeoutMs = output.request.op === "prints" ? PRINTS_TIMEOUT_MS : ASK_TIMEOUT_MS;
        void this.#request(Buffer.from(JSON.stringify(output.request)), timeoutMs).then((reply) => {
          if (reply && reply.kind !== "rejected") this.#attempt = 0;
          this.#run(this.#machine.answered(output.token, reply));
        });
        return;
      }
      case "ship":
        this.#ship(output).catch((error: unknown) => {
          this.#init.log.error({ err: error }, "a block could not be shipped, starts over");
          this.#startOver();
        });
        return;
      case "find": {
        const { token, seq } = output;
        this.#look(
          token,
          () => this.#own.find(seq, output.in),
          (own) => this.#machine.found(token, own),
        );
        return;
      }
      case "sample": {
        const { token, after, upTo, count } = output;
        this.#look(
          token,
          () => this.#own.sample(after, upTo, count),
          (own) => this.#machine.sampled(token, own),
        );
        return;
      }
      case "refill":
        void this.#refill(output);
        return;
      case "read":
        this.#init.onShipping?.(this.#machine.accepted);
        this.#read(output.from);
        return;
      case "stop-reading":
        this.#feed.end("shipping starts over");
        this.#fed?.();
        return;
      case "wait":
        this.#retry(output.slow);
        return;
      case "set-aside": {
        const { incarnation } = this.#machine;
        this.#settingAside = this.#settingAside
          .then(() => this.#refused.fromOutbox(incarnation, output.refusals))
          .then(() => this.#run(this.#machine.asideDone(output.token)))
          .catch((error: unknown) => {
            this.#init.log.error({ err: error }, "refused events could not be set aside, tries again");
            // What was confirmed with them must not be trimmed; the next greeting names them once more.
            this.#startOver();
          });
        return;
      }
      case "confirmed":
        this.#confirmed(output.seq);
        return;
      case "raise":
        this.#init.conditions.raise(output.code, output.detail);
        return;
      case "clear":
        this.#init.conditions.clear(output.code);
    }
  }

  /** In order behind what is being set aside; that nothing is known any more holds at once. */
  #confirmed(seq: number): void {
    if (seq === 0) {
      this.#greeting += 1;
      this.#init.onConfirmed(0);
      return;
    }
    const greeting = this.#greeting;
    void this.#settingAside.then(() => {
      if (greeting === this.#greeting) this.#init.onConfirmed(seq);
    });
  }

  /** Asks the own server; when it does not answer, the uplink starts over. */
  #look<T>(token: number, ask: () => Promise<T>, then: (found: T) => readonly UplinkOutput[]): void {
    ask().then(
      (found) => this.#run(then(found)),
      (error: unknown) => {
        // What began meanwhile is none of an old question's business.
        if (!this.#machine.awaits(token)) return;
        this.#init.log.debug({ err: error }, "the own server does not answer");
        this.#startOver();
      },
    );
  }

  async #ship(output: Extract<UplinkOutput, { do: "ship" }>): Promise<void> {
    const { token, block } = output;
    const bytes = encodeBlock(block);
    const link = this.#linkRun;
    const started = performance.now();
    this.#shipping += 1;
    const reply = await this.#request(bytes, this.#pace.timeoutMs);
    this.#shipping -= 1;
    const elapsedMs = performance.now() - started;
    if (reply?.kind === "taken") {
      const unpacked = block.events.reduce((sum, event) => sum + weightOf(event), 0);
      this.#pace.answered(unpacked, elapsedMs);
      this.#attempt = 0;
      this.#init.onBlock(block.events.length, bytes.length);
    } else if (!reply && link === this.#linkRun && elapsedMs > NO_RESPONDERS_MS) {
      this.#pace.unanswered();
    }
    this.#run(this.#machine.answered(token, reply));
  }

  async #request(payload: Uint8Array, timeoutMs: number): Promise<IngestReply | undefined> {
    try {
      const answer = await liveRequest(this.#init.nc, ingestSubject(this.#init.node), payload, {
        timeout: timeoutMs,
      });
      return ingestReply.parse(answer.json());
    } catch (error) {
      const quiet = error instanceof NoRespondersError || error instanceof RequestError;
      this.#init.log.debug({ err: quiet ? (error as Error).message : error }, "no answer from the sequencer");
      return undefined;
    }
  }

  #read(from: number): void {
    const { nc, inboxPrefix, node, log } = this.#init;
    this.#feed.begin({
      open: () =>
        new StreamReader({
          nc,
          inboxPrefix,
          stream: STREAM.outbox,
          startSeq: from,
          bufferBytes: READ_BYTES,
        }).start(),
      take: (messages) =>
        this.#run(this.#machine.offer(messages.map((message) => shippedFromOutbox(node, message)))),
      hungry: () => this.#machine.hungry,
      broken: (error) => {
        log.info({ err: error }, "the outbox can't be read, starts over");
        this.#startOver();
      },
    });
  }

  async #refill(output: Extract<UplinkOutput, { do: "refill" }>): Promise<void> {
    const current = () => !this.#ended && this.#machine.awaits(output.token);
    const { after, before } = output;
    try {
      // Known before anything is shipped: what comes behind a hole must not be taken before that is accepted.
      const whole = await this.#own.copyHasAll(after, before);
      if (!current()) return;
      for await (const event of whole ? this.#own.inCopy(after, before) : []) {
        if (!current()) return;
        this.#run(this.#machine.offer([event]));
        while (current() && !this.#machine.hungry) {
          await new Promise<void>((resolve) => {
            this.#fed = resolve;
          });
        }
        if (!current()) return;
      }
      this.#run(this.#machine.refillEnded(output.token, whole));
    } catch (error) {
      if (!current()) return;
      this.#init.log.info({ err: error }, "the copy can't be read, starts over");
      this.#startOver();
    }
  }

  #startOver(): void {
    if (this.#ended) return;
    this.#run(this.#machine.lost());
    this.#retry(false);
  }

  #retry(slow: boolean): void {
    if (this.#ended) return;
    clearTimeout(this.#retryTimer);
    const delayMs = slow ? SLOW_RETRY_MS : backoffMs(this.#attempt++, LOOPBACK_POLICY);
    this.#retryTimer = setTimeout(() => this.#run(this.#machine.begin()), delayMs);
  }
}
