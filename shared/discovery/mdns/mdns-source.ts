import { setTimeout as sleep } from "node:timers/promises";
import type { DecodedPacket } from "dns-packet";
import { Backoff } from "../../nats/reconnect-policy.ts";
import { plain } from "../dns/dns-message.ts";
import { readListing } from "../read-listing.ts";
import type { Source, SourceInit } from "../source.ts";
import { SourceRun } from "../source-run.ts";
import { MdnsKnown } from "./mdns-known.ts";
import { MdnsLink, type MdnsPlace, type MdnsSender } from "./mdns-link.ts";

export interface MdnsOptions extends MdnsPlace {
  /** Name of the service, in `.local`. */
  readonly dnsQuery: string;
  /** How long answers are waited for; default 1500. */
  readonly patienceMs?: number;
}

/** An answer may be held back for 0.12 s, and for a second when it was given just before (RFC 6762, section 6). */
const PATIENCE_MS = 1500;
/** Datagrams get lost: nobody is taken for silent who was not asked three times. */
const TIMES = 3;
/** An announcement may get lost: new nodes are asked for this often, and those that are known need not answer. */
const ASK_EVERY_MS = 60_000;
const RETRY = { firstMs: 500, capMs: 10_000 };
/** Many nodes answer one question within this time: they are reported at once. */
const TOGETHER_MS = 20;

/**
 * Nodes that announce themselves by multicast DNS (RFC 6762, 6763). A node is listed until it says goodbye, or until
 * its records have expired and others answer where it does not. Where nobody answers, the network is in doubt and not
 * the nodes: an outage.
 */
export class MdnsSource implements Source {
  readonly name = "mdns";
  readonly #service: string;
  readonly #group: string;
  readonly #patienceMs: number;
  readonly #known: MdnsKnown;
  readonly #link: MdnsLink;
  readonly #run: SourceRun;
  /** Ends the current rest. */
  #news = new AbortController();
  /** Answers from elsewhere so far: our own node answers also when the cable is out. */
  #heard = 0;
  /** Nodes that told nothing about themselves when they were asked. */
  #mute: ReadonlySet<string> = new Set();

  constructor({ onReport, dnsQuery, patienceMs = PATIENCE_MS, ...place }: SourceInit & MdnsOptions) {
    this.#service = plain(dnsQuery);
    this.#group = place.mdnsGroup;
    this.#patienceMs = patienceMs;
    this.#known = new MdnsKnown(this.#service);
    this.#run = new SourceRun({ onReport });
    this.#link = new MdnsLink({
      place,
      onPacket: (packet, from) => this.#onPacket(packet, from),
      onOpen: () => this.#news.abort(),
    });
  }

  start(): void {
    this.#link.start();
    this.#run.start(() => this.#lookOn());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run[Symbol.asyncDispose]();
    await this.#link[Symbol.asyncDispose]();
  }

  #onPacket(packet: DecodedPacket, { address, port, isSelf }: MdnsSender): void {
    // An answer from another port is none (RFC 6762, section 6).
    if (port !== this.#link.port || !this.#known.absorb(packet, address, performance.now())) return;
    if (!isSelf) this.#heard++;
    this.#news.abort();
  }

  async #lookOn(): Promise<void> {
    const { signal } = this.#run;
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      const isAnswered = await this.#ask();
      if (signal.aborted) return;
      if (isAnswered) {
        backoff.reset();
        await this.#listen();
      } else {
        const { problem } = this.#link;
        const reason = `nobody answers for ${this.#service} at ${this.#group}${problem === null ? "" : `: ${problem}`}`;
        this.#run.report({ kind: "outage", reason });
        await this.#rest(backoff.nextMs());
      }
    }
  }

  /** Asks until all that is known counts for a while. @returns whether what is known now can be believed */
  async #ask(): Promise<boolean> {
    const { signal } = this.#run;
    const known = this.#known;
    const before = this.#heard;
    const askedMs = performance.now();
    for (let time = 0; time < TIMES; time++) {
      const nowMs = performance.now();
      // Later on everybody is to answer: whether one is silent or all are makes the difference.
      this.#link.ask(known.questions(nowMs), time === 0 ? known.knownAnswers(nowMs) : []);
      await sleep(this.#patienceMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
      known.dropGone(performance.now());
      const isFresh = !known.isDue(performance.now()) && known.incomplete().length === 0;
      if (isFresh && (this.#heard > before || !known.isEmpty)) break;
    }
    this.#mute = new Set(known.incomplete());
    const isHeard = this.#heard > before;
    if (isHeard) known.dropExpired(performance.now(), askedMs);
    return isHeard || known.isEmptyByGoodbye || (!known.isEmpty && !known.isDue(performance.now()));
  }

  /** Reports what comes and goes, until something is to be asked. */
  async #listen(): Promise<void> {
    const { signal } = this.#run;
    const known = this.#known;
    const askAtMs = performance.now() + ASK_EVERY_MS;
    for (;;) {
      known.dropGone(performance.now());
      this.#run.report(readListing(known.entries()));
      const nowMs = performance.now();
      if (known.isExpired(nowMs)) return;
      const wasDue = known.isDue(nowMs);
      await this.#rest(Math.min(known.nextMs(nowMs), askAtMs) - nowMs);
      if (signal.aborted) return;
      await sleep(TOGETHER_MS, undefined, { signal }).catch(() => {});
      const isNew = known.incomplete().some((name) => !this.#mute.has(name));
      const endMs = performance.now();
      // Who did not answer, as others did, is asked about again when its time is over.
      if (isNew || endMs >= askAtMs || (!wasDue && known.isDue(endMs))) return;
    }
  }

  /** Until something is heard, the time is over or the source ends. */
  async #rest(forMs: number): Promise<void> {
    this.#news = new AbortController();
    const signal = AbortSignal.any([this.#run.signal, this.#news.signal]);
    await sleep(Math.max(1, forMs), undefined, { signal }).catch(() => {});
  }
}
