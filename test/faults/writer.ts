import { setTimeout as sleep } from "node:timers/promises";
import { type CimClient, connectCim, type EventToAppend } from "../../shared/client/connect-cim.ts";
import { bodyHash } from "../support/checker-read.ts";
import type { Acknowledged, Ledger } from "../support/ledger.ts";
import { seededRandom } from "../support/load-seed.ts";
import type { FaultNode } from "./target.ts";

export interface WriterOptions {
  readonly node: FaultNode;
  readonly ledger: Ledger;
  readonly seed: number;
  /** How many events it writes; after `stop` it begins no more. */
  readonly count: number;
  readonly ratePerS: number;
  /** How many may be on their way at once. Default 128. */
  readonly window?: number;
  /** The client's. Default 2,500. */
  readonly timeoutMs?: number;
}

type MadeEvent = EventToAppend & { readonly id: string; readonly data: Buffer };

/** An append that took long, from its first try to its acknowledgement. */
export interface Stall {
  readonly node: string;
  readonly ms: number;
  /** When it ended, from the writer's start. */
  readonly atMs: number;
}

const domains = ["person", "orders", "stock"];
const aggregates = 1000;
const batchShare = 0.1;
const largestBatch = 20;
const appendTimeoutMs = 2500;
const againAfterMs = 50;

/**
 * A program on a node: appends by `connectCim`, several at a time, at a rate that it makes up for after every pause. An
 * event counts when its line is synced to the ledger. What fails it tries again by the same id, until it is told.
 */
export class Writer implements AsyncDisposable {
  readonly node: string;
  /** Errors that the program saw, by name. */
  readonly errors = new Map<string, { count: number; readonly first: string }>();
  readonly latenciesMs: number[] = [];
  worst: Stall | undefined;
  readonly #options: WriterOptions;
  readonly #random: () => number;
  readonly #startedMs = performance.now();
  #begun = 0;
  #acknowledged = 0;
  #inFlight = 0;
  #stopping = false;
  #abandoned = false;
  #wake: (() => void) | undefined;
  #cim: CimClient | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions) {
    this.node = options.node.name;
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  /** Events whose acknowledgement is on the disk. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Events that it began to write. */
  get begun(): number {
    return this.#begun;
  }

  async start(): Promise<void> {
    const { node, timeoutMs } = this.#options;
    this.#cim = await connectCim({
      url: node.natsUrl,
      name: `fault writer ${node.name}`,
      timeoutMs: timeoutMs ?? appendTimeoutMs,
    });
    this.#running = this.#write();
  }

  /** Resolves when every event it has begun is acknowledged, and it begins no more. */
  async finished(): Promise<void> {
    await this.#running;
  }

  /** Begins no more. */
  stop(): void {
    this.#stopping = true;
    this.#wake?.();
  }

  /** Waits for nobody. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abandoned = true;
    this.stop();
    await this.#running;
    await this.#cim?.close();
  }

  async #write(): Promise<void> {
    const { count, ratePerS, window = 128 } = this.#options;
    while (!this.#stopping && this.#begun < count) {
      const due = ((performance.now() - this.#startedMs) / 1000) * ratePerS;
      if (this.#begun >= due) {
        await sleep(5);
        continue;
      }
      if (this.#inFlight >= window) {
        await this.#woken();
        continue;
      }
      const batch = this.#random() < batchShare ? 2 + Math.floor(this.#random() * (largestBatch - 1)) : 1;
      const events = Array.from({ length: Math.min(batch, count - this.#begun) }, () =>
        this.#event(++this.#begun),
      );
      this.#inFlight += events.length;
      void this.#append(events, this.#begun - events.length + 1).finally(() => {
        this.#inFlight -= events.length;
        this.#wake?.();
      });
    }
    while (this.#inFlight > 0) await this.#woken();
  }

  #event(n: number): MadeEvent {
    const size = this.#random() < 0.002 ? 20_000 : 40 + Math.floor(this.#random() * 160);
    return {
      domain: domains[Math.floor(this.#random() * domains.length)] as string,
      aggregate: `a${Math.floor(this.#random() * aggregates)}`,
      type: "Changed",
      id: `${this.node}-${this.#options.seed}-${n}`,
      data: Buffer.from(JSON.stringify({ n, from: this.node, text: "x".repeat(size) })),
    };
  }

  async #append(events: readonly MadeEvent[], firstN: number): Promise<void> {
    const beganMs = performance.now();
    for (let tries = 1; !this.#abandoned; tries++) {
      try {
        const [first] = events;
        const cim = this.#cim as CimClient;
        const appended =
          events.length === 1 && first ? [await cim.append(first)] : await cim.appendBatch(events);
        await this.#options.ledger.note(
          ...events.map(
            ({ id, domain, aggregate, type, data }, at): Acknowledged => ({
              node: this.node,
              n: firstN + at,
              tries,
              id,
              seq: appended[at]?.seq ?? 0,
              subject: `cim.events.${domain}.${aggregate}.${type}`,
              body: bodyHash(data),
            }),
          ),
        );
        this.#acknowledged += events.length;
        this.#took(performance.now() - beganMs);
        return;
      } catch (error) {
        this.#failed(error);
        await sleep(againAfterMs);
      }
    }
  }

  #took(ms: number): void {
    this.latenciesMs.push(ms);
    if (ms <= (this.worst?.ms ?? 0)) return;
    this.worst = { node: this.node, ms, atMs: performance.now() - this.#startedMs };
  }

  #failed(error: unknown): void {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    const outcome = error instanceof Error && "outcome" in error ? ` (${String(error.outcome)})` : "";
    const known = this.errors.get(name + outcome);
    if (known) known.count++;
    else this.errors.set(name + outcome, { count: 1, first: message });
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
