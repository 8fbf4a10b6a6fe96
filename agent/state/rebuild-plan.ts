import { poisonedOf, statesOf } from "../../shared/consistency/state/state-keys.ts";
import type { StateCheckpoint } from "../../shared/consistency/state/stored-state.ts";
import { ALL_DOMAINS, followsDomain } from "../../shared/protocol/control-records.ts";
import { changedDomains } from "./contract-keys.ts";

/** What a node is to keep states of, and by what contracts. */
export interface StatesWanted {
  readonly domains: readonly string[];
  /** As `contractKeys` gives them. */
  readonly contracts: Readonly<Record<string, string>>;
}

/** Domains whose states are to be folded from the log's beginning before they are right; `["*"]`: all. Pure. */
export function domainsToRebuild(before: StateCheckpoint, wanted: StatesWanted): readonly string[] {
  const isDropped = before.domains.some((domain) => !followsDomain(wanted.domains, domain));
  const added = wanted.domains.filter((domain) => !followsDomain(before.domains, domain));
  if (isDropped || added.includes(ALL_DOMAINS)) return [ALL_DOMAINS];
  const changed = changedDomains(before.contracts, wanted.contracts).filter(
    (domain) => domain === ALL_DOMAINS || followsDomain(wanted.domains, domain),
  );
  if (changed.includes(ALL_DOMAINS)) return [ALL_DOMAINS];
  return [...new Set([...added, ...changed])].sort();
}

/** A generation that nothing was ever written of. */
export function nextGeneration(...checkpoints: readonly (StateCheckpoint | undefined)[]): number {
  const known = checkpoints.flatMap((one) => (one ? Object.values(one.generations) : []));
  return Math.max(0, ...known) + 1;
}

/** What the present states become when those of some domains were rebuilt. Pure. */
export function switched(
  before: StateCheckpoint,
  rebuilt: { readonly domains: readonly string[]; readonly generation: number },
): Pick<StateCheckpoint, "generations" | "stale"> {
  const { domains, generation } = rebuilt;
  if (domains.includes(ALL_DOMAINS)) {
    const old = [...new Set(Object.values(before.generations))].filter((one) => one !== generation);
    const stale = old.flatMap((one) => [statesOf(one), poisonedOf(one)]);
    return { generations: { [ALL_DOMAINS]: generation }, stale: [...before.stale, ...stale] };
  }
  const generations = { ...before.generations };
  const stale = domains.map((domain) =>
    statesOf(before.generations[domain] ?? before.generations[ALL_DOMAINS] ?? 1, domain),
  );
  for (const domain of domains) generations[domain] = generation;
  return { generations, stale: [...before.stale, ...stale] };
}
