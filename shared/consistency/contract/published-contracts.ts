import * as z from "zod";
import {
  type Contracts,
  type FieldType,
  GRANULARITIES,
  isFieldType,
  MODES,
  NO_CONTRACTS,
  RESOLVERS,
} from "./contract.ts";

/** Key in the outbox's stream metadata: the contracts of the node, as its programs read them. */
export const CONTRACTS_METADATA = "cim.contracts";

/** A stream's metadata holds 128 KiB, other entries with it. */
export const MAX_CONTRACTS_BYTES = 96 * 1024;

const fieldType = z
  .string()
  .refine(isFieldType)
  .transform((text) => text as FieldType);

/** Strict: what a newer build has added means something, and a program that does not know it must not write. */
const domainContract = z.strictObject({
  domain: z.string(),
  mode: z.enum(MODES),
  resolver: z.enum(RESOLVERS),
  granularity: z.enum(GRANULARITIES),
  fields: z.record(z.string(), fieldType),
  retentionDays: z.number().nullable(),
  subscribers: z.array(z.string()),
  module: z.strictObject({ path: z.string(), sha256: z.string() }).nullable(),
});

const published = z.strictObject({ usual: domainContract, domains: z.record(z.string(), domainContract) });

export function encodeContracts(contracts: Contracts): string {
  return JSON.stringify(contracts);
}

/**
 * What a node has published. Without an entry it is of a build from before there were contracts.
 * @returns undefined: they are of a newer build, or nobody's; what they ask for is not known
 */
export function decodeContracts(text: string | undefined): Contracts | undefined {
  if (text === undefined) return NO_CONTRACTS;
  try {
    const read = published.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
