import { ALL_DOMAINS, type CopyRecord, followsDomain } from "../../shared/protocol/control-records.ts";

/** What a copy is to become so that it has the domains that are wanted. */
export interface CopyPlan {
  /** Domains that stay. */
  readonly live: readonly string[];
  /** What is to be filled in; `done` above 0: goes on where it was interrupted. null: nothing. */
  readonly filling: CopyRecord["filling"];
  /** Whether all other domains must be purged first: no longer wanted, or half filled by what is not gone on with. */
  readonly purge: boolean;
}

/** Only what differs is touched. Pure. */
export function planCopy(before: CopyRecord, wanted: readonly string[]): CopyPlan {
  const all = wanted.includes(ALL_DOMAINS);
  const hasAll = before.live.includes(ALL_DOMAINS);
  const live = all
    ? hasAll
      ? [ALL_DOMAINS]
      : before.live
    : wanted.filter((one) => followsDomain(before.live, one));
  const add = all ? (hasAll ? [] : [ALL_DOMAINS]) : wanted.filter((one) => !followsDomain(before.live, one));
  const goesOn = before.filling !== null && sameDomains(before.filling.domains, add);
  const filling = add.length === 0 ? null : goesOn ? before.filling : { domains: add, done: 0 };
  const isDropped = !all && before.live.some((domain) => !wanted.includes(domain));
  const isHalf = before.filling !== null && !goesOn;
  return { live, filling, purge: isDropped || isHalf || before.purging === true };
}

function sameDomains(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((domain) => b.includes(domain));
}
