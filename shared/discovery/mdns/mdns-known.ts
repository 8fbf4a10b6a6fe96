import type { Answer, DecodedPacket, Question } from "dns-packet";
import { type DnsRecord, plain, recordOf, ttlOf } from "../dns/dns-message.ts";
import { entryOf, servicesOf } from "../dns/dns-nodes.ts";
import type { RawEntry } from "../read-listing.ts";

type MdnsRecord =
  | DnsRecord
  | { readonly type: "PTR"; readonly name: string; readonly ttlS: number; readonly target: string };

interface Held {
  readonly record: MdnsRecord;
  /** Address of who said it. */
  readonly sender: string;
  /** Which packet said it last. */
  readonly packet: number;
  readonly seenMs: number;
  readonly untilMs: number;
  readonly isGoodbye: boolean;
}

/** RFC 6762, section 10.1: what is taken back counts for a second more, for others that have the same to say. */
const GOODBYE_MS = 1000;
/** RFC 6762, section 5.2: asked about again when this much of its time is over. */
const REFRESH_AT = 0.8;
const LONGEST_S = 3600;
/** As many names as a fleet has nodes, four records each. */
const MOST_RECORDS = 40_000;
/** What fits into one packet that no network cuts into pieces. */
const MOST_QUESTIONS = 20;
const MOST_KNOWN_ANSWERS = 16;

/**
 * What nodes said of themselves under one service, and how long it counts. It knows no clock and no socket.
 *
 * Each sender's words are kept by themselves: what one says anew replaces what it said before, and nobody else's. Two
 * that claim one name are both seen, and the first counts as long as it is heard.
 */
export class MdnsKnown {
  readonly #service: string;
  /** By type and name, then by sender and value. */
  readonly #sets = new Map<string, Map<string, Held>>();
  #packets = 0;
  #size = 0;
  #lastLeftByGoodbye = false;

  /** @param service in small letters, without a dot at the end */
  constructor(service: string) {
    this.#service = service;
  }

  /** Nothing is known, as the last that was known said itself. */
  get isEmptyByGoodbye(): boolean {
    return this.#size === 0 && this.#lastLeftByGoodbye;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Takes in whatever was sent. Never throws. @returns whether it was an answer of a node of the service */
  absorb(packet: DecodedPacket, sender: string, nowMs: number): boolean {
    const { opcode = "QUERY", rcode = "NOERROR" } = packet as { opcode?: string; rcode?: string };
    if (packet.type !== "response" || opcode !== "QUERY" || rcode !== "NOERROR") return false;
    this.#packets++;
    const all = [...(packet.answers ?? []), ...(packet.additionals ?? [])].flatMap((one) => {
      const record = mdnsRecordOf(one);
      return record ? [{ record, flush: "flush" in one && one.flush === true }] : [];
    });
    const services = all.filter(({ record }) => this.#isOfService(record));
    for (const one of services) this.#take(one, sender, nowMs);
    const targets = new Set(
      this.#all().flatMap(({ record }) => (record.type === "SRV" ? record.target : [])),
    );
    for (const one of all) if (this.#isDetail(one.record, targets)) this.#take(one, sender, nowMs);
    return services.length > 0;
  }

  /** Forgets what was taken back, a second after it was. */
  dropGone(nowMs: number): void {
    this.#drop(({ isGoodbye, untilMs }) => isGoodbye && untilMs <= nowMs);
  }

  /**
   * Forgets what counts no longer and was not said again since all were asked. To be called when somebody answered.
   * What was said again may have expired meanwhile, on a machine that stood still.
   */
  dropExpired(nowMs: number, askedMs: number): void {
    this.#drop(({ untilMs, seenMs }) => untilMs <= nowMs && seenMs < askedMs);
  }

  /** All nodes, each as the first who claimed its name has it; the others' claims follow. */
  entries(): RawEntry[] {
    const named = this.#targets("PTR", this.#service).flatMap((instance) =>
      this.#claims(instance).map((entry) => ({
        ...entry,
        name: instance.slice(0, -this.#service.length - 1),
      })),
    );
    return [...named, ...this.#claims(this.#service)];
  }

  /** Nodes that were named, and what they are was not said. */
  incomplete(): string[] {
    return this.#targets("PTR", this.#service).filter((name) => !this.#sets.has(`SRV ${name}`));
  }

  /** Whether something is due to be asked about again. */
  isDue(nowMs: number): boolean {
    return this.#all().some((held) => !held.isGoodbye && refreshAtMs(held) <= nowMs);
  }

  /** Whether something counts no longer, and was not taken back. */
  isExpired(nowMs: number): boolean {
    return this.#all().some(({ isGoodbye, untilMs }) => !isGoodbye && untilMs <= nowMs);
  }

  /** When something becomes due, or has gone, or counts no longer: ms of the clock, after now. */
  nextMs(nowMs: number): number {
    const times = this.#all().flatMap((held) =>
      held.isGoodbye ? [held.untilMs] : [refreshAtMs(held), held.untilMs],
    );
    return times.reduce((first, one) => (one > nowMs && one < first ? one : first), Number.POSITIVE_INFINITY);
  }

  /** What to ask: who is there, and for what is missing or due. */
  questions(nowMs: number): Question[] {
    const due = this.#all()
      .filter((held) => !held.isGoodbye && refreshAtMs(held) <= nowMs && held.record.name !== this.#service)
      .map(({ record }) => `${record.type} ${record.name}`);
    const missing = this.incomplete().flatMap((name) => [`SRV ${name}`, `TXT ${name}`]);
    const more = [...new Set([...missing, ...due])].slice(0, MOST_QUESTIONS).map((key): Question => {
      const [type, ...name] = key.split(" ");
      return { type: type as "SRV", name: name.join(" ") };
    });
    return [{ type: "PTR", name: this.#service }, { type: "SRV", name: this.#service }, ...more];
  }

  /** What those who know need not say again (RFC 6762, section 7.1). */
  knownAnswers(nowMs: number): Answer[] {
    return [...(this.#sets.get(`PTR ${this.#service}`)?.values() ?? [])]
      .flatMap((held) => {
        const { record, untilMs, seenMs } = held;
        if (record.type !== "PTR" || (untilMs - nowMs) * 2 <= untilMs - seenMs) return [];
        const ttl = Math.floor((untilMs - nowMs) / 1000);
        return [{ type: "PTR" as const, name: record.name, ttl, data: record.target }];
      })
      .slice(0, MOST_KNOWN_ANSWERS);
  }

  #isOfService({ type, name, ...more }: MdnsRecord): boolean {
    const isInstance = (one: string) => one.endsWith(`.${this.#service}`);
    if (type === "PTR") return name === this.#service && isInstance((more as { target: string }).target);
    return type === "SRV" && (name === this.#service || isInstance(name));
  }

  /** Of an instance or of the target of a service that is known. */
  #isDetail({ type, name }: MdnsRecord, targets: ReadonlySet<string>): boolean {
    if (type === "PTR" || type === "SRV") return false;
    return targets.has(name) || (type === "TXT" && this.#sets.has(`SRV ${name}`));
  }

  #take(
    { record, flush }: { readonly record: MdnsRecord; readonly flush: boolean },
    sender: string,
    nowMs: number,
  ): void {
    const key = `${record.type} ${record.name}`;
    const set = this.#sets.get(key) ?? new Map<string, Held>();
    const { ttlS, ...value } = record;
    const id = `${sender} ${JSON.stringify(value)}`;
    const before = set.get(id);
    if (ttlS === 0) {
      if (before)
        set.set(id, { ...before, isGoodbye: true, untilMs: Math.min(before.untilMs, nowMs + GOODBYE_MS) });
      return;
    }
    if (flush) {
      // What the sender said of this in earlier packets no longer holds.
      for (const [other, held] of set) {
        if (held.sender !== sender || held.packet === this.#packets || other === id) continue;
        set.delete(other);
        this.#size--;
      }
    }
    if (!before && this.#size >= MOST_RECORDS) return;
    if (!before) this.#size++;
    const untilMs = nowMs + Math.min(ttlS, LONGEST_S) * 1000;
    set.set(id, { record, sender, packet: this.#packets, seenMs: nowMs, untilMs, isGoodbye: false });
    this.#sets.set(key, set);
  }

  #drop(isOver: (held: Held) => boolean): void {
    for (const [key, set] of this.#sets) {
      for (const [id, held] of set) {
        if (!isOver(held)) continue;
        set.delete(id);
        this.#size--;
        this.#lastLeftByGoodbye = held.isGoodbye;
      }
      if (set.size === 0) this.#sets.delete(key);
    }
  }

  #all(): Held[] {
    return [...this.#sets.values()].flatMap((set) => [...set.values()]);
  }

  #targets(type: "PTR", name: string): string[] {
    const held = [...(this.#sets.get(`${type} ${name}`)?.values() ?? [])];
    return [...new Set(held.flatMap(({ record }) => (record.type === type ? record.target : [])))];
  }

  /** What is claimed of one name, by each place that it is said to be at. */
  #claims(name: string): RawEntry[] {
    const held = [...(this.#sets.get(`SRV ${name}`)?.values() ?? [])];
    const by = (sender: string, key: string) =>
      [...(this.#sets.get(key)?.values() ?? [])].flatMap((one) =>
        one.sender === sender ? (one.record as DnsRecord) : [],
      );
    const claims = held.flatMap(({ record, sender }) =>
      servicesOf([record as DnsRecord]).map((service) => ({ service, sender })),
    );
    // One node is heard on several networks of ours by several addresses of its own.
    const places = Map.groupBy(claims, ({ service }) => `${service.target}:${service.port}`);
    return [...places.values()].flatMap(([first]) => {
      if (!first) return [];
      const { service, sender } = first;
      const of = (type: string, owner: string) => by(sender, `${type} ${owner}`);
      const own = of("TXT", name);
      const texts = name !== this.#service && own.length > 0 ? own : of("TXT", service.target);
      const four = of("A", service.target);
      return [entryOf(service, texts, four.length > 0 ? four : of("AAAA", service.target))];
    });
  }
}

function refreshAtMs({ seenMs, untilMs }: Held): number {
  return seenMs + (untilMs - seenMs) * REFRESH_AT;
}

function mdnsRecordOf(one: Answer): MdnsRecord | undefined {
  if (one.type !== "PTR") return recordOf(one);
  if (one.class !== "IN") return undefined;
  return { type: "PTR", name: plain(one.name), ttlS: ttlOf(one), target: plain(one.data) };
}
