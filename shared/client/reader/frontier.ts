import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../protocol/control-records.ts";

/** Up to which index of the log a domain was read, all of it: a copy has each domain in the log's order, but not all domains in one. */
export interface Frontier {
  /** Of the domains without an entry of their own. */
  readonly rest: number;
  readonly named: ReadonlyMap<string, number>;
}

export const evenFrontier = (index: number): Frontier => ({ rest: index, named: new Map() });

/** What was read, in terms of one stream. Never changed, only replaced. */
export interface ReadSoFar {
  /** Before the stream was begun, and of domains that it did not tell of. */
  readonly before: Frontier;
  /** Domains that the stream has in one order; all of theirs up to `at` was read. */
  readonly live: readonly string[];
  readonly at: number;
  /** Domains whose older events are being put behind younger ones; theirs up to `done` were read. */
  readonly filling: readonly string[];
  readonly done: number;
}

export function readFrom(before: Frontier): ReadSoFar {
  return { before, live: [], at: 0, filling: [], done: 0 };
}

/** The highest index up to which everything of a domain was read. */
export function readUpTo(read: ReadSoFar, domain: string): number {
  return Math.max(read.before.named.get(domain) ?? read.before.rest, inStream(read, domain));
}

function inStream({ live, at, filling, done }: ReadSoFar, domain: string): number {
  return followsDomain(live, domain) ? at : followsDomain(filling, domain) ? done : 0;
}

/** The same without the stream's terms. */
export function frontierOf(read: ReadSoFar): Frontier {
  const rest = Math.max(read.before.rest, inStream(read, ALL_DOMAINS));
  const named = new Map<string, number>();
  for (const domain of new Set([...read.before.named.keys(), ...read.live, ...read.filling])) {
    const index = readUpTo(read, domain);
    if (domain !== ALL_DOMAINS && index !== rest) named.set(domain, index);
  }
  return { rest, named };
}

/** After an event of the log; undefined: it was read before. `domain` undefined: a control record, which all copies have. */
export function withEvent(read: ReadSoFar, domain: string | undefined, index: number): ReadSoFar | undefined {
  if (domain === undefined) return index > read.at ? { ...read, at: index } : read;
  if (index <= readUpTo(read, domain)) return undefined;
  if (followsDomain(read.live, domain)) return { ...read, at: index };
  if (followsDomain(read.filling, domain)) return { ...read, done: index };
  const named = new Map(read.before.named).set(domain, index);
  return { ...read, before: { ...read.before, named } };
}

/** From a copy's record on. What was filled in up to it stands before it. */
export function withRecord(read: ReadSoFar, { live, at, filling }: CopyRecord): ReadSoFar {
  return {
    before: frontierOf(read),
    live,
    at: at?.index ?? 0,
    filling: filling?.domains ?? [],
    done: filling?.done ?? 0,
  };
}

/**
 * The records of a copy, oldest first, with only the domains that it kept from there to the newest: of one that was dropped
 * a part may be gone that nobody read, and when it is filled in again it stands further behind.
 */
export function keptSince(records: readonly CopyRecord[]): CopyRecord[] {
  let kept: readonly string[] = [ALL_DOMAINS];
  let next: CopyRecord | undefined;
  const fromNewest = records.toReversed().map((record) => {
    const done = record.filling?.done ?? 0;
    const live = common(common(record.live, next?.live ?? [ALL_DOMAINS]), kept);
    // Begun anew where it is less than it was.
    const stillFilling = next?.filling && next.filling.done >= done ? next.filling.domains : [];
    const stays = next ? [...next.live, ...stillFilling] : [ALL_DOMAINS];
    const domains = common(common(record.filling?.domains ?? [], stays), kept);
    next = record;
    kept = [...live, ...domains];
    return { ...record, live, filling: { domains, done } };
  });
  return fromNewest.toReversed();
}

function common(a: readonly string[], b: readonly string[]): string[] {
  if (a.includes(ALL_DOMAINS)) return [...b];
  return b.includes(ALL_DOMAINS) ? [...a] : a.filter((domain) => b.includes(domain));
}

/** When the log is another one behind an index: what was read there says nothing about it. */
export function cutBehind(read: ReadSoFar, index: number): ReadSoFar {
  const { rest, named } = frontierOf(read);
  const cut = (at: number) => Math.min(at, index);
  const before = {
    rest: cut(rest),
    named: new Map([...named].map(([domain, at]) => [domain, cut(at)])),
  };
  return { ...read, before, at: cut(read.at), done: cut(read.done) };
}

/**
 * Behind which index there may be something unread of the domains that a reader wants (undefined: all) and a stream
 * holds. Infinite: it holds none of these.
 */
export function leastRead(
  { rest, named }: Frontier,
  wanted: readonly string[] | undefined,
  held: readonly string[],
): number {
  if (!wanted && held.includes(ALL_DOMAINS)) return Math.min(rest, ...named.values());
  const domains = wanted ? wanted.filter((domain) => followsDomain(held, domain)) : held;
  return Math.min(...domains.map((domain) => named.get(domain) ?? rest));
}

/** The same of the domains that the stream does not hold. */
export function leastReadElsewhere(
  { rest, named }: Frontier,
  wanted: readonly string[] | undefined,
  held: readonly string[],
): number {
  if (held.includes(ALL_DOMAINS)) return Number.POSITIVE_INFINITY;
  const domains = (wanted ?? [...named.keys()]).filter((domain) => !held.includes(domain));
  return Math.min(...domains.map((domain) => named.get(domain) ?? rest), ...(wanted ? [] : [rest]));
}
