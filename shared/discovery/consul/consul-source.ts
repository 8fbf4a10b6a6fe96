import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../../nats/reconnect-policy.ts";
import { inOneLine } from "../http-ask.ts";
import { readListing } from "../read-listing.ts";
import type { Source, SourceInit } from "../source.ts";
import { SourceRun } from "../source-run.ts";
import { askConsul, type ConsulPlace, ConsulUnusable } from "./consul-api.ts";
import { consulNodes, nextIndex } from "./consul-nodes.ts";

export interface ConsulOptions extends ConsulPlace {
  /** The service that lists the nodes. */
  readonly consulService: string;
}

/** So long Consul holds a question until something changes. */
const WAIT_S = 55;
/** Consul adds up to a sixteenth to the wait; the rest is for a slow network. */
const TIMEOUT_MS = Math.ceil(WAIT_S + WAIT_S / 16 + 5) * 1000;
/** Consul may answer at once though nothing changed; it is not asked more often than this. */
const SHORTEST_MS = 50;
const RETRY = { firstMs: 250, capMs: 10_000 };

/** Nodes from Consul's catalogue, by blocking queries: a change is there as soon as Consul has it. */
export class ConsulSource implements Source {
  readonly name = "consul";
  readonly #options: ConsulOptions;
  readonly #run: SourceRun;

  constructor(init: SourceInit & ConsulOptions) {
    this.#options = init;
    this.#run = new SourceRun(init);
  }

  start(): void {
    this.#run.start(() => this.#lookOn());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run[Symbol.asyncDispose]();
  }

  async #lookOn(): Promise<void> {
    const { signal } = this.#run;
    const backoff = new Backoff(RETRY);
    let index = 0n;
    while (!signal.aborted) {
      const askedMs = performance.now();
      let waitMs: number;
      try {
        index = await this.#look(index);
        backoff.reset();
        waitMs = askedMs + SHORTEST_MS - performance.now();
      } catch (error) {
        this.#run.report({ kind: "outage", reason: this.#reasonOf(error) });
        // After an outage the answer comes at once: not only with the next change.
        index = 0n;
        waitMs = backoff.nextMs();
      }
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One blocking query. Gives the index where the next goes on. */
  async #look(index: bigint): Promise<bigint> {
    const { headers, body } = await askConsul(this.#options, {
      path: `/v1/health/service/${encodeURIComponent(this.#options.consulService)}`,
      query: index > 0n ? { index: String(index), wait: `${WAIT_S}s` } : {},
      timeoutMs: TIMEOUT_MS,
      signal: this.#run.signal,
    });
    const header = headers["x-consul-index"];
    if (header === undefined) throw new Error("its answer has no X-Consul-Index");
    this.#run.report(readListing(consulNodes(body)));
    return nextIndex(index, String(header));
  }

  #reasonOf(error: unknown): string {
    if (error instanceof ConsulUnusable) return error.message;
    return `${this.#options.consulAddr} does not answer as Consul does: ${inOneLine(error)}`;
  }
}
