import { randomInt } from "node:crypto";
import { lookup } from "node:dns/promises";
import type { HostPort } from "../../config/host-port.ts";
import { errorText } from "../../protocol/error-text.ts";
import { askOverTcp, askOverUdp, type Exchange } from "./dns-exchange.ts";
import type { DnsAnswer, Question, Reply } from "./dns-message.ts";

/** No server gave a usable answer; the message names each and what it did. */
export class DnsUnanswered extends Error {
  override readonly name = "DnsUnanswered";
}

/** A resolver near by answers in milliseconds, one that has to ask others within a second or so. Then the next is asked. */
const TIMEOUTS_MS = [1500, 3000] as const;

/** Asks several servers, one after the other: each in turn, then each again with more patience. */
export class DnsClient {
  readonly #servers: readonly HostPort[];
  /** The last that answered is asked first. */
  #first = 0;
  /** Servers that refuse questions with EDNS. */
  readonly #plain = new Set<HostPort>();

  constructor(servers: readonly HostPort[]) {
    this.#servers = servers;
  }

  /** @throws DnsUnanswered, and the signal's reason when it ends the wait */
  async ask(question: Question, signal: AbortSignal): Promise<DnsAnswer> {
    const fates = new Map<HostPort, string>();
    for (const timeoutMs of TIMEOUTS_MS) {
      for (let turn = 0; turn < this.#servers.length; turn++) {
        const index = (this.#first + turn) % this.#servers.length;
        const server = this.#servers[index] as HostPort;
        const reply = await this.#askOne(server, question, timeoutMs, signal);
        signal.throwIfAborted();
        if (typeof reply === "object" && reply.kind === "answer") {
          this.#first = index;
          return reply;
        }
        fates.set(server, typeof reply === "string" ? reply : describe(reply));
      }
    }
    const told = [...fates].map(([{ host, port }, fate]) => `${host}:${port} ${fate}`).join("; ");
    throw new DnsUnanswered(`${question.type} ${question.name}: ${told || "no DNS server is known"}`);
  }

  /** Gives the answer or what became of the question. */
  async #askOne(
    server: HostPort,
    question: Question,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Reply | string> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const limits = AbortSignal.any([signal, timeout]);
    try {
      const { address, family } = await lookup(server.host);
      const exchange = (): Exchange => ({
        question,
        // Nobody else may guess it (RFC 5452).
        id: randomInt(0x1_0000),
        edns: !this.#plain.has(server),
        address,
        family,
        port: server.port,
        signal: limits,
      });
      let reply = await askOverUdp(exchange());
      if (reply.kind === "refused" && NOT_UNDERSTOOD.has(reply.rcode) && !this.#plain.has(server)) {
        this.#plain.add(server);
        reply = await askOverUdp(exchange());
      }
      return reply.kind === "truncated" ? await askOverTcp(exchange()) : reply;
    } catch (error) {
      if (timeout.aborted) return `does not answer within ${timeoutMs / 1000} s`;
      return errorText(error);
    }
  }
}

/** How a server from before 1999 answers EDNS. */
const NOT_UNDERSTOOD: ReadonlySet<string> = new Set(["FORMERR", "NOTIMP"]);

function describe(reply: Reply): string {
  return reply.kind === "refused" ? `answers ${reply.rcode}` : `answers with what is ${reply.kind}`;
}
