import { controlRecordSubject, EVENTS_PREFIX, isDomain, isToken } from "../../protocol/subjects.ts";

/** A word of a subject, or several, of which any one matches. */
export type Words = string | readonly string[];

/** Which events; left out: all. */
export interface ReadFilter {
  readonly domain?: Words | undefined;
  readonly aggregate?: Words | undefined;
  readonly type?: Words | undefined;
}

export interface SubscribeOptions {
  /** Which events: of this domain, or of any of these. Left out: all. Judged by the server. */
  readonly domain?: Words;
  readonly aggregate?: Words;
  readonly type?: Words;
  /**
   * From where: the first event there is; the next one; what the log took at that time or later, with all it has not
   * taken yet; or behind the event that gave this checkpoint.
   */
  readonly from: "start" | "now" | Date | (string & {});
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal;
  /** How long a node may take to come as far as the checkpoint, ms, before `ReaderAhead`. Default 10,000. */
  readonly waitMs?: number;
  /** Told when events may come again, and why: a log or an outbox was restored. */
  readonly onNotice?: (line: string) => void;
}

/** Every combination is a filter of its own, and all of them are in one request. */
const MAX_FILTERS = 1_000;

/** The subjects that match, for the server to judge; no two overlap, as it takes none that do. None: everything. @throws TypeError */
export function filtersOf({ domain, aggregate, type }: ReadFilter): string[] {
  const domains = wordsOf("domain", domain);
  const aggregates = wordsOf("aggregate", aggregate);
  const types = wordsOf("type", type);
  if (!domains && !aggregates && !types) return [];
  const below = (domains ?? ["*"]).map((word) => EVENTS_PREFIX + word);
  if (!aggregates && !types) return below.map((subject) => `${subject}.>`);
  const ends = (types ?? ["*"]).flatMap((last) => {
    if (aggregates) return aggregates.map((word) => `${word}.${last}`);
    // The short form of subjects has no aggregate.
    return [`*.${last}`, last];
  });
  const count = below.length * ends.length;
  if (count > MAX_FILTERS)
    throw new TypeError(
      `domain, aggregate, type: these lists are ${count} filters, and a reader may have ${MAX_FILTERS}; leave one of the lists out and look at the events`,
    );
  return below.flatMap((subject) => ends.map((end) => `${subject}.${end}`));
}

function wordsOf(part: keyof ReadFilter, words: Words | undefined): readonly string[] | undefined {
  if (words === undefined) return undefined;
  const list = typeof words === "string" ? [words] : words;
  if (!Array.isArray(list)) throw new TypeError(`${part}: write a word as "person", or a list of words`);
  if (list.length === 0) throw new TypeError(`${part}: the list is empty; leave it out to read all`);
  const fits = part === "domain" ? isDomain : isToken;
  const wrong = list.find((word) => typeof word !== "string" || !fits(word));
  if (wrong !== undefined && part === "domain")
    throw new TypeError(`domain: "${wrong}" is no domain; write one word as "person", not beginning with _`);
  if (wrong !== undefined) throw new TypeError(`${part}: "${wrong}" is not one word of a subject`);
  return [...new Set(list)];
}

/** The domains that are read; undefined: all. */
export function domainsOf({ domain }: ReadFilter): readonly string[] | undefined {
  return wordsOf("domain", domain);
}

/** What of the log's own records a reader needs: of reigns, of all nodes' marks, and of a copy's domains. */
const READ_RECORDS = (["reign", "marks", "copy"] as const).map(controlRecordSubject);

/** The same for the log, of whose records some are read too: by these a reader of rare events comes along. */
export function logFilters(filters: readonly string[]): readonly string[] {
  if (filters.length === 0) return [];
  // A server takes no filters that overlap, as those of a type that is called like a record.
  return [...filters, ...READ_RECORDS.filter((subject) => !filters.includes(subject.replace("_cim", "*")))];
}
