/** How a domain replicates: declared per domain in the configuration, the same on every node, read by every part. */

/** What a write has to wait for. Which of them a build offers with which resolver: `mode-resolver-pairs.ts`. */
export const MODES = ["eventual", "causal", "strong"] as const;
export type Mode = (typeof MODES)[number];

/** What becomes of concurrent writes of one aggregate. */
export const RESOLVERS = ["last-write-wins", "vector-clock", "crdt"] as const;
export type ResolverName = (typeof RESOLVERS)[number];

/** What is resolved by itself: each field of an aggregate's state, or its whole state. */
export const GRANULARITIES = ["field", "document"] as const;
export type Granularity = (typeof GRANULARITIES)[number];

/** What a field of a `crdt` domain may be. */
export const FIELD_TYPES = [
  "counter-grow",
  "counter",
  "register",
  "multi-value",
  "set",
  "text",
  "list",
] as const;

/** One of them, or `map of <field type>`: keys that are not known beforehand, each with a value of that type. */
export type FieldType = (typeof FIELD_TYPES)[number] | `map of ${string}`;

/** How many maps may lie in each other. */
export const MAX_NESTED_MAPS = 4;

/** The contract of one domain, complete: every default is in it. */
export interface DomainContract {
  /** The domain that it was declared for; "*": that of every domain that none was declared for. */
  readonly domain: string;
  readonly mode: Mode;
  readonly resolver: ResolverName;
  readonly granularity: Granularity;
  /** Of resolver `crdt`: the type of each field by name; others are registers. Else empty. */
  readonly fields: Readonly<Record<string, FieldType>>;
  /** How long the log keeps the domain's events, days; null: as long as the log keeps events (`log.retentionDays`). */
  readonly retentionDays: number | null;
  /** Nodes whose copies hold the domain; ["*"]: all. Hubs have every event. */
  readonly subscribers: readonly string[];
  /** A file of the domain's own code, absolute path on the node, and the SHA-256 of its content (hex). */
  readonly module: { readonly path: string; readonly sha256: string } | null;
}

/** All contracts of a node: JSON, as it is published to the node's programs. */
export interface Contracts {
  /** Of domains that are not named. Its `domain` is "*". */
  readonly usual: DomainContract;
  readonly domains: Readonly<Record<string, DomainContract>>;
}

/** What holds where nothing is said. */
export const USUAL_CONTRACT: DomainContract = {
  domain: "*",
  mode: "eventual",
  resolver: "last-write-wins",
  granularity: "field",
  fields: {},
  retentionDays: null,
  subscribers: ["*"],
  module: null,
};

/** Where nobody has declared anything. */
export const NO_CONTRACTS: Contracts = { usual: USUAL_CONTRACT, domains: {} };

/** The contract under which a domain replicates. Allocates nothing: it is asked for every event. */
export function contractFor(contracts: Contracts, domain: string): DomainContract {
  return Object.hasOwn(contracts.domains, domain)
    ? (contracts.domains[domain] as DomainContract)
    : contracts.usual;
}

const MAP_OF = "map of ";

/** Whether a text names a field type. */
export function isFieldType(text: string): text is FieldType {
  let inner = text;
  for (let maps = 0; inner.startsWith(MAP_OF); maps++) {
    if (maps === MAX_NESTED_MAPS) return false;
    inner = inner.slice(MAP_OF.length);
  }
  return (FIELD_TYPES as readonly string[]).includes(inner);
}

/** The type of a map's values; undefined: it is no map. */
export function valuesOfMap(type: FieldType): FieldType | undefined {
  return type.startsWith(MAP_OF) ? (type.slice(MAP_OF.length) as FieldType) : undefined;
}
