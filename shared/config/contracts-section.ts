import * as z from "zod";
import {
  FIELD_TYPES,
  type FieldType,
  GRANULARITIES,
  MAX_NESTED_MAPS,
  RESOLVERS,
} from "../consistency/contract/contract.ts";
import { OFFERED_MODES } from "../consistency/contract/mode-resolver-pairs.ts";
import { key } from "./described-key.ts";
import { absolutePath, DOMAIN_RULE, domainName, nodeOrAll } from "./value-kinds.ts";

const quoted = (words: readonly string[]): string => {
  const last = JSON.stringify(words.at(-1));
  const before = words.slice(0, -1).map((word) => JSON.stringify(word));
  return before.length === 0 ? last : `${before.join(", ")} or ${last}`;
};

/** Modes and resolvers, here and under `sync`: which of them are offered is said by the table of pairs alone. */
export const modeKind = z.enum(OFFERED_MODES);
export const resolverKind = z.enum(RESOLVERS);
export const WRITE_MODE = quoted(OFFERED_MODES);
export const WRITE_RESOLVER = quoted(RESOLVERS);

const fieldType = z
  .string()
  .regex(new RegExp(`^(map of ){0,${MAX_NESTED_MAPS}}(${FIELD_TYPES.join("|")})$`), "must be a field type")
  .transform((text) => text as FieldType);

/** How one domain replicates. */
export const contractEntry = z.strictObject({
  mode: key(modeKind.optional(), {
    what: "eventual: written locally, always accepted. strong: committed by the hub, refused while it is away. Left out: that of sync.mode.",
    write: WRITE_MODE,
  }),
  resolver: key(resolverKind.optional(), {
    what: "What becomes of concurrent writes of one aggregate: last-write-wins, vector-clock (siblings, until a later write or a policy merges them) or crdt (typed fields merge). Left out: that of sync.conflictResolution.",
    write: WRITE_RESOLVER,
  }),
  granularity: key(z.enum(GRANULARITIES).optional(), {
    what: 'What is resolved by itself: each "field" of the state (the default), or the whole "document".',
    write: quoted(GRANULARITIES),
  }),
  fields: key(z.record(z.string().min(1).max(256), fieldType).optional(), {
    what: "Of resolver crdt: the type of each field; fields that are not named are registers.",
    write: `field names, each with its type, as {"tags": "set"}; types are ${FIELD_TYPES.join(", ")}, and "map of" one of them`,
  }),
  retentionDays: key(z.number().positive().max(36_500).nullable().optional(), {
    what: "How long the log keeps the domain's events at least, days; null or left out: log.retentionDays. The log is one, so the longest of all domains holds for it.",
    write: "a number of days, as 365, or null",
  }),
  subscribers: key(z.array(nodeOrAll).max(10_000).optional(), {
    what: 'Nodes whose copies hold the domain: they alone, and each of them. ["*"], the default: whichever follow it (sync.domains). []: no leaf. Hubs have every event. It orders traffic and is no access control.',
    write: 'a list of nodes, as ["leaf1", "leaf2"], or ["*"]',
  }),
  replaces: key(
    z
      .string()
      .regex(/^[0-9a-f]{16}$/, "must be 16 hexadecimal digits, as the refusal of a change gives them")
      .optional(),
    {
      what: "The contract that this one replaces on a running fleet, as the refusal of an unsafe change names it: says that what had to be done before was done. Without effect afterwards.",
      write: "the 16 digits that the refusal gave, or leave it out",
    },
  ),
  module: key(absolutePath.nullable().optional(), {
    what: "A JavaScript file with the domain's own code: exports one of reduce(value, event), merge(siblings) for vector-clock, and resolver. The same content on every node.",
    write: 'an absolute path, as "/etc/cim/orders.js", or null',
  }),
});

export const contractsKey = key(z.record(domainName, contractEntry).default({}), {
  what: "How each domain replicates, the same on every node; domains that are not named go by sync.mode and sync.conflictResolution.",
  write: `domains (${DOMAIN_RULE}), each with its contract, as {"orders": {"mode": "strong"}}`,
});
