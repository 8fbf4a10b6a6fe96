import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../../nats/reconnect-policy.ts";
import { inOneLine, readBody } from "../http-ask.ts";
import { readListing } from "../read-listing.ts";
import type { Source, SourceInit } from "../source.ts";
import { SourceRun } from "../source-run.ts";
import { type EndpointSlice, sliceList, sliceNodes, watchEvent } from "./endpoint-slices.ts";
import {
  KubernetesGone,
  type KubernetesPlace,
  KubernetesUnusable,
  linesOf,
  openSlices,
} from "./kubernetes-api.ts";

/** A watch is begun anew this often: a connection that died in silence is not waited for longer. */
const WATCH_S = 60;
const WATCH_TIMEOUT_MS = (WATCH_S + 15) * 1000;
const LIST_TIMEOUT_MS = 30_000;
/** Slices asked for at a time; each has up to a thousand endpoints. */
const PAGE = 100;
const MOST_PAGES = 100;
/** A slice of a thousand endpoints has some 300 kB. */
const LONGEST_LINE = 8 * 1024 * 1024;
const RETRY = { firstMs: 250, capMs: 10_000 };

/**
 * Nodes from EndpointSlices: the list, then a watch from where the list was made. A watch that ends goes on from its last
 * event or bookmark; what the server no longer remembers (410) is listed anew.
 */
export class KubernetesSource implements Source {
  readonly name = "kubernetes";
  readonly #place: KubernetesPlace;
  readonly #run: SourceRun;
  readonly #slices = new Map<string, EndpointSlice>();

  constructor(init: SourceInit & KubernetesPlace) {
    this.#place = init;
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
    /** Where to watch from; undefined: the list is to be read. */
    let version: string | undefined;
    while (!signal.aborted) {
      try {
        version ??= await this.#list();
        backoff.reset();
        version = await this.#watch(version);
        // A server that ends each watch at once is not asked without end.
        await sleep(RETRY.firstMs, undefined, { signal }).catch(() => {});
      } catch (error) {
        const isGone = error instanceof KubernetesGone;
        // What was missed meanwhile is in the list alone.
        version = undefined;
        if (!isGone) this.#run.report({ kind: "outage", reason: this.#reasonOf(error) });
        await sleep(backoff.nextMs(), undefined, { signal }).catch(() => {});
      }
    }
  }

  /** Reads all, and reports it. Gives the version from which a watch goes on. */
  async #list(): Promise<string> {
    const signal = AbortSignal.any([this.#run.signal, AbortSignal.timeout(LIST_TIMEOUT_MS)]);
    const slices: EndpointSlice[] = [];
    let next: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = { limit: String(PAGE), ...(next && { continue: next }) };
      const body = await readBody(await openSlices(this.#place, query, signal));
      const { items, metadata } = sliceList.parse(JSON.parse(body));
      slices.push(...items);
      next = metadata.continue || undefined;
      if (next !== undefined) continue;
      this.#slices.clear();
      for (const slice of slices) this.#slices.set(slice.metadata.name, slice);
      this.#report();
      return metadata.resourceVersion;
    }
    throw new Error(`more than ${MOST_PAGES} pages of EndpointSlices`);
  }

  /** Follows until the watch ends. Gives the version from which the next goes on. */
  async #watch(from: string): Promise<string> {
    const timeout = AbortSignal.timeout(WATCH_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#run.signal, timeout]);
    const query = {
      watch: "1",
      resourceVersion: from,
      allowWatchBookmarks: "true",
      timeoutSeconds: String(WATCH_S),
    };
    const response = await openSlices(this.#place, query, signal);
    let version = from;
    try {
      for await (const line of linesOf(response, LONGEST_LINE)) {
        const event = watchEvent.parse(JSON.parse(line));
        if (event.type === "ERROR") {
          const { code, message } = event.object;
          if (code === 410) throw new KubernetesGone(message ?? "gone");
          throw new Error(`ends the watch: ${message ?? code ?? "for no reason"}`);
        }
        version = event.object.metadata.resourceVersion;
        if (event.type === "BOOKMARK") continue;
        if (event.type === "DELETED") this.#slices.delete(event.object.metadata.name);
        else this.#slices.set(event.object.metadata.name, event.object);
        this.#report();
      }
    } finally {
      response.destroy();
    }
    return version;
  }

  #report(): void {
    this.#run.report(readListing(sliceNodes(this.#slices.values())));
  }

  #reasonOf(error: unknown): string {
    if (error instanceof KubernetesUnusable) return error.message;
    return `Kubernetes at ${this.#place.kubernetesUrl}: ${inOneLine(error)}`;
  }
}
