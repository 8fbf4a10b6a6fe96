import * as z from "zod";
import { filtersOf, type ReadFilter, type Words } from "./subscribe-options.ts";

const words = z.union([z.string(), z.array(z.string()).readonly()]).optional();
/** Whoever may append may write these records, and one that nobody can read by is not to stop who looks at all of them. */
const filter = z.object({ domain: words, aggregate: words, type: words }).refine(isFilter);

function isFilter(of: ReadFilter): boolean {
  try {
    filtersOf(of);
    return true;
  } catch {
    return false;
  }
}

const record = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("reader"),
    /** Who may save: a word that each opening of the name makes anew; `<member>/<word>` of a group's partition; "": nobody. */
    owner: z.string(),
    /** undefined: at the beginning of all there is. */
    checkpoint: z.string().optional(),
    filter,
  }),
  z.object({ kind: z.literal("removed") }),
  z.object({
    kind: z.literal("group"),
    /** Where a partition begins that has no record of its own yet. */
    begin: z.string(),
    filter,
    /** Their beats, by member: whoever's stands still is gone. */
    members: z.record(z.string(), z.number().int()),
    /** Who is to read each partition. Who does read it is in the partition's own record, `<name>.<partition>`. */
    owners: z.array(z.string()),
  }),
]);

/** What is kept under a durable name, as JSON, on a subject of its own in `CIM_READERS`. */
export type ReaderRecord = z.infer<typeof record>;

/** Of a group of processes that share a name. */
export type GroupRecord = Extract<ReaderRecord, { kind: "group" }>;

/** undefined: not one of this build. */
export function parseReaderRecord(body: Uint8Array): ReaderRecord | undefined {
  try {
    return record.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** `orders.*.Placed`, `everything`. */
export function filterWords({ domain, aggregate, type }: ReadFilter): string {
  if (domain === undefined && aggregate === undefined && type === undefined) return "everything";
  if (aggregate === undefined && type === undefined) return `${oneOf(domain)}.>`;
  return `${oneOf(domain)}.${oneOf(aggregate)}.${oneOf(type)}`;
}

/** The same for the same words, in whatever order they are listed. */
function oneOf(words: Words | undefined): string {
  return typeof words === "object" ? [...new Set(words)].toSorted().join(",") : (words ?? "*");
}
