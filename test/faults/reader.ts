import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { untilSilent } from "../support/checker-read.ts";
import type { FaultNode } from "./target.ts";

/** A program on a node that handles every event, and keeps a ledger of what it handled. */
export interface FaultReader extends AsyncDisposable {
  readonly node: string;
  readonly handled: number;
  start(): Promise<void>;
  /** Ends without a word, as a killed program; `start` goes on from its checkpoint. */
  stop(): Promise<void>;
}

/** What a reader's ledger has a line of, as JSON: origin, id. */
export type HandledLine = readonly [node: string, id: string];

/** Lines a reader's handler writes. */
export class HandledLedger {
  readonly path: string;
  #count = 0;

  constructor(path: string) {
    this.path = path;
  }

  get count(): number {
    return this.#count;
  }

  async note(lines: readonly HandledLine[]): Promise<void> {
    if (lines.length === 0) return;
    await appendFile(this.path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    this.#count += lines.length;
  }
}

/** A reader that can be ended and begun again; where it goes on is its own. */
export abstract class LedgerReader implements FaultReader {
  readonly node: string;
  protected readonly url: string;
  protected readonly ledger: HandledLedger;
  #stopping: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(node: FaultNode, path: string) {
    this.node = node.name;
    this.url = node.natsUrl;
    this.ledger = new HandledLedger(path);
  }

  get handled(): number {
    return this.ledger.count;
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = this.read(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Reads until it is stopped, whatever breaks meanwhile. */
  protected abstract read(stopping: AbortSignal): Promise<void>;
}

const emptyPollMs = 60;
const brokenPollMs = 200;
const silenceMs = 5000;

/** Reads a node's log or copy by plain NATS, and keeps the sequence it has come to. */
export class PlainReader extends LedgerReader {
  readonly #silenceMs: number;
  #next = 1;

  /** `silenceMs`: how long a batch may stand still before it is asked for again. Default 5,000. */
  constructor(node: FaultNode, path: string, options: { readonly silenceMs?: number } = {}) {
    super(node, path);
    this.#silenceMs = options.silenceMs ?? silenceMs;
  }

  protected async read(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      let nc: NatsConnection | undefined;
      try {
        nc = await connect({
          servers: this.url,
          reconnect: false,
          timeout: 2000,
          name: `fault reader ${this.node}`,
        });
        await this.#follow(nc, stopping);
      } catch {
        // The node is down, or does not answer: from the same place again.
        await sleep(brokenPollMs);
      } finally {
        await nc?.close().catch(() => {});
      }
    }
  }

  async #follow(nc: NatsConnection, stopping: AbortSignal): Promise<void> {
    const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 2000 });
    while (!stopping.aborted) {
      const { state } = await jsm.streams.info("CIM_EVENTS");
      if (state.last_seq < this.#next) {
        await sleep(emptyPollMs);
        continue;
      }
      const { lines, next } = await this.#batch(nc, jsm);
      await this.ledger.note(lines);
      this.#next = next;
    }
  }

  async #batch(nc: NatsConnection, jsm: JetStreamManager): Promise<{ lines: HandledLine[]; next: number }> {
    const lines: HandledLine[] = [];
    let next = this.#next;
    const messages = await jsm.direct.getBatch("CIM_EVENTS", { seq: next, batch: 1000 });
    // The client does not tell whoever waits for the rest of a batch that its connection is gone.
    void nc.closed().then(() => messages.stop(new Error("the connection was closed")));
    for await (const { seq, subject, header } of untilSilent(messages, this.#silenceMs)) {
      // A batch that ends early without an error begins again behind what came.
      if (seq < next) continue;
      next = seq + 1;
      const [origin] = header.get("Cim-Origin").split(" ");
      if (!subject.startsWith("cim.events._cim.") && origin) lines.push([origin, header.get("Cim-Id")]);
    }
    return { lines, next };
  }
}
