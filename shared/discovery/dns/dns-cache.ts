import type { DnsAnswer, DnsRecord, Question } from "./dns-message.ts";

/** A time of none is taken for a second: a zone that is asked all the time answers nobody. */
const SHORTEST_MS = 1000;
/** A record of a week is looked at every hour all the same; that there is none, every five minutes. */
const LONGEST_MS = 3_600_000;
const LONGEST_NONE_MS = 300_000;
/** That there is none, without a time (RFC 2308 forbids to keep it): asked again this soon, and no sooner. */
const NONE_WITHOUT_TIME_MS = 5000;
/** As many names as a fleet has nodes, three questions each. */
const MOST_ENTRIES = 40_000;

interface Entry {
  readonly records: readonly DnsRecord[];
  readonly untilMs: number;
}

/** What was answered, as long as it counts. Asks for the rest. */
export class DnsCache {
  readonly #ask: (question: Question) => Promise<DnsAnswer>;
  readonly #now: () => number;
  readonly #shortestMs: number;
  readonly #entries = new Map<string, Entry>();
  /** Those that were used since `usedUntil` was last asked. */
  #used = new Set<string>();

  /** @param now a clock that never goes back, ms */
  constructor(
    ask: (question: Question) => Promise<DnsAnswer>,
    now: () => number,
    shortestMs: number = SHORTEST_MS,
  ) {
    this.#ask = ask;
    this.#now = now;
    this.#shortestMs = shortestMs;
  }

  /** @throws what asking throws */
  async records(question: Question): Promise<readonly DnsRecord[]> {
    const key = keyOf(question);
    this.#used.add(key);
    const known = this.#entries.get(key);
    if (known && known.untilMs > this.#now()) return known.records;
    const answer = await this.#ask(question);
    this.#keep(key, answer.records, answer.ttlS);
    this.#keepAdditional(answer);
    return answer.records;
  }

  /** What was answered last, however long ago. */
  stale(question: Question): readonly DnsRecord[] | undefined {
    return this.#entries.get(keyOf(question))?.records;
  }

  /** When the first of what was used since the last call counts no longer, ms of the clock. Forgets all the rest. */
  usedUntil(): number {
    let first = this.#now() + LONGEST_MS;
    for (const [key, { untilMs }] of this.#entries) {
      if (this.#used.has(key)) first = Math.min(first, untilMs);
      else this.#entries.delete(key);
    }
    this.#used = new Set();
    return first;
  }

  #keepAdditional({ additional }: DnsAnswer): void {
    for (const [key, records] of Map.groupBy(additional, keyOf)) {
      const known = this.#entries.get(key);
      // What was asked for by name counts more than what came along.
      if (known && known.untilMs > this.#now()) continue;
      if (this.#entries.size < MOST_ENTRIES) {
        this.#keep(key, records, Math.min(...records.map(({ ttlS }) => ttlS)));
      }
    }
  }

  #keep(key: string, records: readonly DnsRecord[], ttlS: number | undefined): void {
    const longestMs = records.length > 0 ? LONGEST_MS : LONGEST_NONE_MS;
    const forMs = ttlS === undefined ? NONE_WITHOUT_TIME_MS : Math.max(this.#shortestMs, ttlS * 1000);
    this.#entries.set(key, { records, untilMs: this.#now() + Math.min(longestMs, forMs) });
  }
}

const keyOf = ({ type, name }: { readonly type: string; readonly name: string }) =>
  `${type} ${name.toLowerCase().replace(/\.$/, "")}`;
