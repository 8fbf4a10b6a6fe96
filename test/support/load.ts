import { setTimeout as sleep } from "node:timers/promises";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { bodyHash } from "./checker-read.ts";
import type { Ledger } from "./ledger.ts";

/** Where a writer writes: any node with a server. */
export interface WriterNode {
  readonly name: string;
  readonly natsUrl: string;
}

export interface LoadOptions {
  readonly ledger: Ledger;
  /** Events a second; default: as fast as they are acknowledged. */
  readonly ratePerS?: number;
  /** Ends by itself after so many. */
  readonly count?: number;
  readonly domains?: readonly string[];
  /** Bytes added to each body. */
  readonly padding?: number;
  /** How many may be on their way at once; default 32. */
  readonly window?: number;
  /** Further headers of the nth event. */
  readonly headersOf?: (n: number) => Readonly<Record<string, string>>;
  /** After an error a writer tries again with the same id; false: it gives up what was refused by name. */
  readonly retryRefused?: boolean;
}

/** A server's refusal of one event. */
export interface RefusedWrite {
  readonly id: string;
  readonly errCode: number;
  readonly description: string;
}

let loads = 0;
const RUN = `${process.pid.toString(36)}-${Date.now().toString(36)}`;
/** Shorter than most restarts, so that a writer is soon at it again. */
const ACK_TIMEOUT_MS = 2000;
const AGAIN_AFTER_MS = 25;

/**
 * A program on a node that writes events by plain NATS requests. What is not acknowledged it writes again with the same
 * id until it is: in the end it knows of every event it ever began to write.
 */
export class Load implements AsyncDisposable {
  readonly refused: RefusedWrite[] = [];
  readonly #node: WriterNode;
  readonly #options: LoadOptions;
  readonly #run = `${RUN}-${++loads}`;
  #begun = 0;
  #acknowledged = 0;
  #inFlight = 0;
  #stopping = false;
  #abandoned = false;
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #nc: NatsConnection | undefined;

  constructor(node: WriterNode, options: LoadOptions) {
    this.#node = node;
    this.#options = options;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  async start(): Promise<this> {
    this.#nc = await connect({
      servers: this.#node.natsUrl,
      name: `test writer ${this.#node.name}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 10,
      waitOnFirstConnect: true,
    });
    this.#running = this.#write();
    return this;
  }

  /** Resolves when `count` events are written, each acknowledged. */
  async finished(): Promise<void> {
    await this.#running;
  }

  /** Begins no more events and waits until all that were begun are acknowledged. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake?.();
    await this.#running;
    await this.#nc?.close();
  }

  /** After a failed test nobody waits for acknowledgements. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abandoned = true;
    await this.stop();
  }

  async #write(): Promise<void> {
    const { ratePerS, count = Number.POSITIVE_INFINITY, window = 32 } = this.#options;
    const startedMs = performance.now();
    while (!this.#stopping && this.#begun < count) {
      const due = ratePerS === undefined ? count : ((performance.now() - startedMs) / 1000) * ratePerS;
      if (this.#begun >= due) {
        await Promise.race([sleep(2), this.#woken()]);
        continue;
      }
      if (this.#inFlight >= window) {
        await this.#woken();
        continue;
      }
      this.#inFlight++;
      void this.#one(++this.#begun).finally(() => {
        this.#inFlight--;
        this.#wake?.();
      });
    }
    while (this.#inFlight > 0) await this.#woken();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #one(n: number): Promise<void> {
    const {
      ledger,
      domains = ["person"],
      padding = 0,
      headersOf = (): Record<string, string> => ({}),
      retryRefused = true,
    } = this.#options;
    const node = this.#node.name;
    const domain = domains[n % domains.length] as string;
    const subject = `cim.events.${domain}.a${n % 10}.Changed`;
    const id = `${node}-${this.#run}-${n}`;
    const body = Buffer.from(JSON.stringify({ n, from: node, text: "x".repeat(padding) }));
    const head = headers();
    head.set("Nats-Msg-Id", id);
    for (const [name, value] of Object.entries(headersOf(n))) head.set(name, value);
    while (!this.#abandoned) {
      const answer = await this.#ask(subject, body, head);
      // A refusal has a sequence too: 0.
      if (answer?.seq && !answer.error) {
        await ledger.note({ node, seq: answer.seq, id, subject, body: bodyHash(body) });
        this.#acknowledged++;
        return;
      }
      if (answer?.error) {
        this.refused.push({ id, errCode: answer.error.err_code, description: answer.error.description });
        if (!retryRefused) return;
      }
      await sleep(AGAIN_AFTER_MS);
    }
  }

  async #ask(subject: string, body: Uint8Array, head: ReturnType<typeof headers>) {
    try {
      const reply = await this.#nc?.request(subject, body, { headers: head, timeout: ACK_TIMEOUT_MS });
      return reply?.json() as { seq?: number; error?: { err_code: number; description: string } } | undefined;
    } catch {
      return undefined;
    }
  }
}

/** Writes so many events as fast as they are acknowledged. */
export async function writeEvents(
  node: WriterNode,
  count: number,
  options: Omit<LoadOptions, "count">,
): Promise<void> {
  await using load = await new Load(node, { ...options, count }).start();
  await load.finished();
}
