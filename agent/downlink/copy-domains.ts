import type { CopyRecord } from "../../shared/protocol/control-records.ts";

export const EVERYTHING = "*";

export interface DomainChange {
  /** Domains that stay. */
  readonly live: readonly string[];
  /** Domains to be filled from the log's beginning. */
  readonly add: readonly string[];
  /** Whether domains that are not in `live` are to be dropped. */
  readonly drop: boolean;
}

export const follows = (domains: readonly string[], domain: string): boolean =>
  domains.includes(EVERYTHING) || domains.includes(domain);

/** What has to be done so that a copy that follows `before` follows `wanted`. Only what differs is touched. */
export function domainChange(before: CopyRecord, wanted: readonly string[]): DomainChange {
  if (wanted.includes(EVERYTHING)) {
    const all = before.live.includes(EVERYTHING);
    return { live: all ? [EVERYTHING] : before.live, add: all ? [] : [EVERYTHING], drop: false };
  }
  const live = wanted.filter((domain) => follows(before.live, domain));
  const add = wanted.filter((domain) => !follows(before.live, domain));
  const half = before.filling?.domains ?? [];
  const drop =
    before.live.some((domain) => !wanted.includes(domain)) ||
    half.some((domain) => domain !== EVERYTHING && !wanted.includes(domain)) ||
    half.includes(EVERYTHING);
  return { live, add, drop };
}

export function sameDomains(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((domain) => b.includes(domain));
}
