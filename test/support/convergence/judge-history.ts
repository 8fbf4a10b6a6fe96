import { isDeepStrictEqual } from "node:util";
import { violationsOf } from "../../../shared/consistency/compliance/compliance.ts";
import { sampleData } from "../../../shared/consistency/compliance/sample-data.ts";
import { sampleHistory } from "../../../shared/consistency/compliance/sample-history.ts";
import { seededRandom, shuffled } from "../../../shared/consistency/compliance/seeded-random.ts";
import type { DomainContract, FieldType } from "../../../shared/consistency/contract/contract.ts";
import { loadSequences } from "../../../shared/consistency/resolve/crdt/sequence-cell.ts";
import { loadResolver } from "../../../shared/consistency/resolve/load-resolver.ts";
import type { Resolver, StateView } from "../../../shared/consistency/resolve/resolver.ts";
import { naiveView } from "./naive-view.ts";

export type TriedContract = Pick<DomainContract, "domain" | "resolver" | "granularity" | "fields" | "module">;

const contract = (parts: Partial<TriedContract>): TriedContract => ({
  domain: "sample",
  resolver: "last-write-wins",
  granularity: "field",
  fields: {},
  module: null,
  ...parts,
});

const FIELD_TYPES: readonly FieldType[] = [
  "counter-grow",
  "counter",
  "register",
  "multi-value",
  "set",
  "text",
  "list",
  "map of counter",
  "map of register",
  "map of multi-value",
  "map of set",
  "map of text",
  "map of map of register",
  "map of map of set",
];

/** Every resolver, granularity and type, by the name that a failure is told under. */
export const TRIED: readonly (readonly [name: string, contract: TriedContract])[] = [
  ["last-write-wins by field", contract({})],
  ["last-write-wins by document", contract({ granularity: "document" })],
  ["vector-clock by field", contract({ resolver: "vector-clock" })],
  ["vector-clock by document", contract({ resolver: "vector-clock", granularity: "document" })],
  ...FIELD_TYPES.map(
    (type) => [`crdt: ${type}`, contract({ resolver: "crdt", fields: { field: type } })] as const,
  ),
];

export interface HistoryOf {
  readonly seed: number;
  readonly nodes: number;
  readonly events: number;
}

/**
 * Folds a made-up history in many orders and compares with each other and with the naive model.
 * @param resolver by default the contract's
 * @returns what is wrong, for people; undefined: nothing
 */
export async function judgeHistory(
  tried: TriedContract,
  { seed, nodes, events }: HistoryOf,
  resolver?: Resolver<unknown>,
): Promise<string | undefined> {
  const random = seededRandom(seed);
  const data = sampleData(tried, await loadSequences());
  const history = sampleHistory({ random, nodes, events, data });
  const judged = resolver ?? (await loadResolver(tried));
  const [violation] = violationsOf(judged, history, random);
  if (violation) return `${violation.rule}: ${violation.text}`;
  const expected = naiveView(tried, history);
  let state = judged.empty();
  for (const event of shuffled(random, history)) state = judged.apply(state, event);
  const found = plain(judged.view(state));
  const sorted = { ...expected, value: sortSets(tried, expected.value) };
  const shown = { ...found, value: sortSets(tried, found.value) };
  if (isDeepStrictEqual(shown, sorted)) return undefined;
  return `the naive model says ${JSON.stringify(sorted)}, the resolver ${JSON.stringify(shown)}`;
}

const plain = ({ value, deleted, siblings }: StateView) => ({
  value,
  deleted,
  siblings: siblings.map(({ path, versions }) => ({ path, values: versions.map((one) => one.value) })),
});

/** Elements of a set come in some order. */
function sortSets({ fields }: TriedContract, value: unknown): unknown {
  if (!Object.values(fields).some((type) => type.endsWith("set"))) return value;
  const sort = (inner: unknown): unknown => {
    if (Array.isArray(inner))
      return [...inner].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, sort(one)]));
  };
  return sort(value);
}
