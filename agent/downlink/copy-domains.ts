import type { CopyRecord } from "../../shared/protocol/control-records.ts";

export const EVERYTHING = "*";

/** What a copy is to become so that it has the domains that are wanted. */
export interface CopyPlan {
  /** Domains that stay. */
  readonly live: readonly string[];
  /** What is to be filled in; `done` above 0: goes on where it was interrupted. null: nothing. */
  readonly filling: CopyRecord["filling"];
  /** Whether all other domains must be purged first: no longer wanted, or half filled by what is not gone on with. */
  readonly purge: boolean;
}

export const follows = (domains: readonly string[], domain: string): boolean =>
  domains.includes(EVERYTHING) || domains.includes(domain);

/** Only what differs is touched. Pure. */
export function planCopy(before: CopyRecord, wanted: readonly string[]): CopyPlan {
  const all = wanted.includes(EVERYTHING);
  const hasAll = before.live.includes(EVERYTHING);
  const live = all
    ? hasAll
      ? [EVERYTHING]
      : before.live
    : wanted.filter((one) => follows(before.live, one));
  const add = all ? (hasAll ? [] : [EVERYTHING]) : wanted.filter((one) => !follows(before.live, one));
  const goesOn = before.filling !== null && sameDomains(before.filling.domains, add);
  const filling = add.length === 0 ? null : goesOn ? before.filling : { domains: add, done: 0 };
  const isDropped = !all && before.live.some((domain) => !wanted.includes(domain));
  const isHalf = before.filling !== null && !goesOn;
  return { live, filling, purge: isDropped || isHalf || before.purging === true };
}

function sameDomains(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((domain) => b.includes(domain));
}
