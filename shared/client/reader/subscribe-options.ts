import { controlRecordSubject, EVENTS_PREFIX, isDomain, isToken } from "../../protocol/subjects.ts";

/** Which events; left out: all. */
export interface ReadFilter {
  readonly domain?: string | undefined;
  readonly aggregate?: string | undefined;
  readonly type?: string | undefined;
}

export interface SubscribeOptions {
  /** Which events; left out: all. Words of subjects, judged by the server. */
  readonly domain?: string;
  /** One word. */
  readonly aggregate?: string;
  readonly type?: string;
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

/** The subjects that match, for the server to judge. None: everything. @throws TypeError */
export function filtersOf({ domain, aggregate, type }: ReadFilter): string[] {
  if (domain !== undefined && !isDomain(domain))
    throw new TypeError(`domain: "${domain}" is no domain; write one word as "person", not beginning with _`);
  for (const [part, word] of Object.entries({ aggregate, type })) {
    if (word !== undefined && !isToken(word))
      throw new TypeError(`${part}: "${word}" is not one word of a subject`);
  }
  const below = `${EVENTS_PREFIX}${domain ?? "*"}`;
  if (type !== undefined) {
    return aggregate === undefined
      ? [`${below}.*.${type}`, `${below}.${type}`]
      : [`${below}.${aggregate}.${type}`];
  }
  if (aggregate !== undefined) return [`${below}.${aggregate}.*`];
  return domain === undefined ? [] : [`${below}.>`];
}

/** The domains that are read; undefined: all. */
export function domainsOf({ domain }: ReadFilter): readonly string[] | undefined {
  return domain === undefined ? undefined : [domain];
}

/** What of the log's own records a reader needs: of reigns, of all nodes' marks, and of a copy's domains. */
const READ_RECORDS = (["reign", "marks", "copy"] as const).map(controlRecordSubject);

/** The same for the log, of whose records some are read too: by these a reader of rare events comes along. */
export function logFilters(filters: readonly string[]): readonly string[] {
  if (filters.length === 0) return [];
  // A server takes no filters that overlap, as those of a type that is called like a record.
  return [...filters, ...READ_RECORDS.filter((subject) => !filters.includes(subject.replace("_cim", "*")))];
}
