import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { firstKept, jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { type LaneMark, printOf } from "../../shared/protocol/origin.ts";
import { shippedFromOutbox } from "../uplink/own-events.ts";
import { readerNeeds } from "./reader-needs.ts";
import { Ages, keepFrom, readersNeed } from "./trim-rule.ts";

export interface OutboxState {
  readonly first: number;
  readonly last: number;
  readonly events: number;
  readonly bytes: number;
  readonly maxBytes: number;
}

/** Of the configuration, and changed with it. */
export interface OutboxLimits {
  readonly maxBytes: number;
  readonly retentionFloorMs: number;
}

export interface OutboxKeeperInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly limits: OutboxLimits;
  readonly waitsForCopy: boolean;
  readonly waitsForReaders: boolean;
  readonly log: Log;
}

/** How often is looked whether something can go, ms: a purge is one request and one sync. */
const TRIM_EVERY_MS = 5000;

/** Knows the outbox's state and trims it. */
export class OutboxKeeper {
  readonly #init: OutboxKeeperInit;
  #ages = new Ages();
  #confirmed = 0;
  #cameBack: LaneMark | undefined;
  #trimmedTo = 0;
  #timer: NodeJS.Timeout | undefined;
  limits: OutboxLimits;
  /** All own events come back in a copy; without one only the floor protects from a log that is restored. */
  waitsForCopy: boolean;
  /** Neither a copy nor the log of this node has all of its events: what a reader has not read may be here alone. */
  waitsForReaders: boolean;

  constructor(init: OutboxKeeperInit) {
    this.#init = init;
    this.limits = init.limits;
    this.waitsForCopy = init.waitsForCopy;
    this.waitsForReaders = init.waitsForReaders;
  }

  start(): void {
    this.#timer = setInterval(() => void this.trim(), TRIM_EVERY_MS);
    this.#timer.unref();
  }

  confirmed(seq: number): void {
    this.#confirmed = seq;
    // The outbox may have been replaced: how old its events are is not known any more.
    if (seq === 0) this.#ages = new Ages();
    this.#ages.note(seq, performance.now());
  }

  /** The newest own event in the copy; undefined: nothing is known of the copy. */
  cameBack(mark: LaneMark | undefined): void {
    this.#cameBack = mark;
  }

  get cameBackUpTo(): LaneMark | undefined {
    return this.#cameBack;
  }

  /** An outbox that was put back may have another event of that number. */
  async #cameBackSeq(): Promise<number> {
    const mark = this.#cameBack;
    if (!mark) return 0;
    const { nc, node } = this.#init;
    const own = await getMessage(nc, STREAM.outbox, { seq: mark.seq });
    return own && printOf(shippedFromOutbox(node, own)) === mark.print ? mark.seq : 0;
  }

  async state(): Promise<OutboxState> {
    const state = await streamState(this.#init.nc, STREAM.outbox);
    const { messages: events, bytes, last_seq: last } = state;
    return { first: firstKept(state), last, events, bytes, maxBytes: this.limits.maxBytes };
  }

  /** When the first event after a sequence was stored, µs since the epoch; undefined: there is none. */
  async storedAtUs(after: number): Promise<number | undefined> {
    const query = { seq: after + 1, next_by_subj: "cim.events.>" };
    return (await getMessage(this.#init.nc, STREAM.outbox, query))?.timeUs;
  }

  async trim(): Promise<void> {
    const { nc, log } = this.#init;
    const { retentionFloorMs } = this.limits;
    // Again: the last of a burst was confirmed within a second of others, and then nothing came any more.
    this.#ages.note(this.#confirmed, performance.now());
    const olderThanFloor = this.#ages.olderThan(retentionFloorMs, performance.now());
    try {
      const cameBack = this.waitsForCopy ? await this.#cameBackSeq() : undefined;
      const from = keepFrom({
        confirmed: this.#confirmed,
        cameBack,
        olderThanFloor,
        readersNeed: this.waitsForReaders ? await this.#readersNeed() : undefined,
      });
      if (from === 0 || from === this.#trimmedTo) return;
      const { purged } = await jetStreamApi<{ purged: number }>(nc, `STREAM.PURGE.${STREAM.outbox}`, {
        seq: from,
      });
      this.#trimmedTo = from;
      if (purged > 0) log.debug({ purged, from }, "trimmed the outbox");
    } catch (error) {
      log.debug({ err: error }, "the outbox could not be trimmed, tries again");
    }
  }

  async #readersNeed(): Promise<number | undefined> {
    const { nc, node } = this.#init;
    return readersNeed(await readerNeeds(nc, node), await this.state(), Date.now());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
  }
}
