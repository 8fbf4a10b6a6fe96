import type { DomainContract } from "../contract/contract.ts";
import { loadSequences } from "../resolve/crdt/sequence-cell.ts";
import { needsSequences } from "../resolve/crdt/typed-cells.ts";
import type { Resolver } from "../resolve/resolver.ts";
import { type Violation, violationsOf } from "./compliance.ts";
import { sampleData } from "./sample-data.ts";
import { type MakeData, sampleHistory } from "./sample-history.ts";
import { below, seededRandom } from "./seeded-random.ts";

export interface ComplianceOptions {
  /** How many histories are tried. */
  readonly histories?: number;
  readonly seed?: number;
  /** Data as the domain's events have it; by default of the kind that the contract takes. */
  readonly data?: MakeData;
}

/** A rule that was broken, and in which of the histories first. */
export interface FoundViolation extends Violation {
  readonly history: number;
}

/**
 * Whether a resolver is one: tries it on made-up histories of 2 to 7 nodes. The same seed tries the same ones.
 * @returns of each rule that it broke the first case; empty: it broke none
 */
export async function checkResolver(
  resolver: Resolver<unknown>,
  contract: Pick<DomainContract, "resolver" | "fields">,
  { histories = 100, seed = 1, data }: ComplianceOptions = {},
): Promise<FoundViolation[]> {
  const sequences = Object.values(contract.fields).some(needsSequences) ? await loadSequences() : undefined;
  const found = new Map<string, FoundViolation>();
  for (let history = 0; history < histories; history++) {
    const random = seededRandom(seed * 1_000_003 + history);
    const events = sampleHistory({
      random,
      nodes: 2 + below(random, 6),
      events: 1 + below(random, 30),
      data: data ?? sampleData(contract, sequences),
    });
    for (const violation of violationsOf(resolver, events, random))
      if (!found.has(violation.rule)) found.set(violation.rule, { ...violation, history });
  }
  return [...found.values()];
}
