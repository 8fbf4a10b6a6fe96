import { getServers } from "node:dns";
import { setTimeout as sleep } from "node:timers/promises";
import { type HostPort, parseHostPort } from "../../config/host-port.ts";
import { Backoff } from "../../nats/reconnect-policy.ts";
import { errorText } from "../../protocol/error-text.ts";
import { type RawEntry, readListing } from "../read-listing.ts";
import type { Source, SourceInit } from "../source.ts";
import { SourceRun } from "../source-run.ts";
import { DnsCache } from "./dns-cache.ts";
import { DnsClient } from "./dns-client.ts";
import type { DnsRecord, Question } from "./dns-message.ts";
import { entryOf, servicesOf } from "./dns-nodes.ts";

export interface DnsOptions {
  /** Name of the SRV records. */
  readonly dnsQuery: string;
  /** `host:port` each; empty: the machine's own. */
  readonly dnsServers: readonly string[];
  /** Records count at least this long, whatever their TTL; default 1000. */
  readonly shortestTtlMs?: number;
}

/** A zone that can't be asked is asked again soon at first: most often a server restarts. */
const RETRY = { firstMs: 500, capMs: 10_000 };
/** Questions about nodes that are under way at a time: a server on a small machine is not flooded. */
const AT_A_TIME = 16;

/** Nodes from SRV records, with TXT and addresses of their targets; asked again when the first of them has expired. */
export class DnsSource implements Source {
  readonly name = "dns";
  readonly #query: string;
  readonly #cache: DnsCache;
  readonly #run: SourceRun;
  /** Some answer is missing: what is known is from before. */
  #incomplete = false;

  constructor({ onReport, dnsQuery, dnsServers, shortestTtlMs }: SourceInit & DnsOptions) {
    this.#query = dnsQuery;
    this.#run = new SourceRun({ onReport });
    const client = new DnsClient(serversOf(dnsServers));
    this.#cache = new DnsCache(
      (question) => client.ask(question, this.#run.signal),
      () => performance.now(),
      shortestTtlMs,
    );
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
    while (!signal.aborted) {
      let waitMs: number;
      try {
        this.#run.report(readListing(await this.#look()));
        const untilMs = this.#cache.usedUntil() - performance.now();
        if (!this.#incomplete) backoff.reset();
        waitMs = this.#incomplete ? backoff.nextMs() : untilMs;
      } catch (error) {
        const reason = errorText(error);
        this.#run.report({ kind: "outage", reason });
        waitMs = backoff.nextMs();
      }
      await sleep(Math.max(1, waitMs), undefined, { signal }).catch(() => {});
    }
  }

  /** @throws DnsUnanswered when the service itself can't be asked for */
  async #look(): Promise<RawEntry[]> {
    this.#incomplete = false;
    const services = servicesOf(await this.#cache.records({ name: this.#query, type: "SRV" }));
    const entries: RawEntry[] = [];
    for (let from = 0; from < services.length; from += AT_A_TIME) {
      const some = services.slice(from, from + AT_A_TIME);
      entries.push(
        ...(await Promise.all(
          some.map(async (service) => {
            const [texts, addresses] = await Promise.all([
              this.#detail({ name: service.target, type: "TXT" }),
              this.#addresses(service.target),
            ]);
            return entryOf(service, texts, addresses);
          }),
        )),
      );
    }
    return entries;
  }

  async #addresses(name: string): Promise<readonly DnsRecord[]> {
    const addresses = await this.#detail({ name, type: "A" });
    return addresses.length > 0 ? addresses : await this.#detail({ name, type: "AAAA" });
  }

  /** Of one node nothing more may be known than before; the others are listed all the same. */
  async #detail(question: Question): Promise<readonly DnsRecord[]> {
    try {
      return await this.#cache.records(question);
    } catch {
      this.#run.signal.throwIfAborted();
      this.#incomplete = true;
      return this.#cache.stale(question) ?? [];
    }
  }
}

/** The servers to ask: those of the configuration, else the machine's (/etc/resolv.conf). */
function serversOf(configured: readonly string[]): HostPort[] {
  const given = configured.length > 0 ? configured : getServers().map(withPort);
  return given.flatMap((text) => parseHostPort(text) ?? []);
}

/** As Node lists them: `10.0.0.1`, `10.0.0.1:5353`, `fe80::1`, `[fe80::1]:5353`. */
function withPort(server: string): string {
  if (parseHostPort(server)) return server;
  return server.includes(":") ? `[${server}]:53` : `${server}:53`;
}
