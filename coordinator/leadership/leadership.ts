import { randomBytes } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import * as z from "zod";
import { writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import type { Log } from "../../shared/observe/log.ts";
import { BUCKET, STREAM } from "../../shared/protocol/names.ts";
import { LEASE_TIMING, type LeaseRecord, type LeaseSeen, leaseStep } from "./lease-rule.ts";

export interface LeadershipInit {
  readonly nc: NatsConnection;
  /** Which coordinator this is: the same after a restart, another than any other's. */
  readonly holder: string;
  readonly log: Log;
  readonly onLead: () => void;
  readonly onStop: () => void;
}

const leaseRecord = z.object({ holder: z.string(), run: z.string() });
const LEASE_SUBJECT = `$KV.${BUCKET.control}.leader`;
const REQUEST_TIMEOUT_MS = 1000;

/**
 * Keeps one of a hub's coordinators leading, by a lease with compare-and-set in the control bucket. It only saves work:
 * what makes a second leader harmless is the log's own expectation, judged at every commit.
 */
export class Leadership {
  readonly #init: LeadershipInit;
  readonly #me: LeaseRecord;
  #leads = false;
  #revision = 0;
  #seen: LeaseSeen = { record: undefined, revision: -1 };
  #seenSinceMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #turning = false;
  #turnDone: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(init: LeadershipInit) {
    this.#init = init;
    this.#me = { holder: init.holder, run: randomBytes(6).toString("hex") };
  }

  get leads(): boolean {
    return this.#leads;
  }

  /** Who holds the lease as far as is known. */
  get holder(): string | undefined {
    return this.#leads ? this.#me.holder : this.#seen.record?.holder;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.turn(), LEASE_TIMING.renewMs);
    await this.turn();
  }

  /** Looks now, as when the server is back. */
  async turn(): Promise<void> {
    if (this.#turning || this.#ended) return;
    this.#turning = true;
    this.#turnDone = this.#takeTurn();
    await this.#turnDone;
  }

  /** Takes no more turns: neither leads nor stops from now on. The lease is kept, not renewed. */
  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    await this.#turnDone;
  }

  async #takeTurn(): Promise<void> {
    try {
      await (this.#leads ? this.#renew() : this.#observe());
    } catch (error) {
      // The server is away: then nobody else can take the lease there either.
      this.#init.log.debug({ err: error }, "the lease can't be read");
    } finally {
      this.#turning = false;
    }
  }

  /** Gives the lease up, so that another need not wait for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    if (this.#leads && !this.#init.nc.isClosed())
      await this.#put({ holder: "", run: this.#me.run }, this.#revision);
    this.#leads = false;
  }

  async #renew(): Promise<void> {
    const revision = await this.#put(this.#me, this.#revision);
    if (revision !== undefined) {
      this.#revision = revision;
      return;
    }
    const seen = await this.#read();
    // The answer to our own writing may have got lost.
    if (seen.record?.run === this.#me.run) {
      this.#revision = seen.revision;
      return;
    }
    this.#leads = false;
    this.#note(seen);
    this.#init.log.warn({ holder: seen.record?.holder }, "the lease is another's");
    this.#init.onStop();
  }

  async #observe(): Promise<void> {
    const seen = await this.#read();
    if (seen.revision !== this.#seen.revision) this.#note(seen);
    const given = seen.record?.holder === "" ? { ...seen, record: undefined } : seen;
    const step = leaseStep(this.#me, given, performance.now() - this.#seenSinceMs);
    if (step.kind === "wait") return;
    const revision = await this.#put(this.#me, step.revision);
    if (revision === undefined || this.#ended) return;
    this.#revision = revision;
    this.#leads = true;
    this.#init.log.info({ holder: this.#me.holder }, "holds the lease");
    this.#init.onLead();
  }

  #note(seen: LeaseSeen): void {
    this.#seen = seen;
    this.#seenSinceMs = performance.now();
  }

  async #read(): Promise<LeaseSeen> {
    const { nc } = this.#init;
    const options = { timeoutMs: REQUEST_TIMEOUT_MS };
    const message = await getMessage(nc, STREAM.control, { last_by_subj: LEASE_SUBJECT }, options);
    if (!message) return { record: undefined, revision: 0 };
    const record = leaseRecord.safeParse(JSON.parse(Buffer.from(message.body).toString("utf8")));
    return { record: record.success ? record.data : undefined, revision: message.seq };
  }

  /** The new revision; undefined: it was not the revision any more, or nothing answered. */
  async #put(record: LeaseRecord, revision: number): Promise<number | undefined> {
    const message = { subject: LEASE_SUBJECT, headerText: "", body: Buffer.from(JSON.stringify(record)) };
    const newest = { subject: LEASE_SUBJECT, seq: revision };
    const result = await writeGuarded(this.#init.nc, [message], { newest }, REQUEST_TIMEOUT_MS);
    return result.kind === "stored" ? result.lastSeq : undefined;
  }
}
