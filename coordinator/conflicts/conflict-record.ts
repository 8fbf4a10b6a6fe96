import * as z from "zod";

// What the stream CIM_CONFLICTS holds, as JSON. Any NATS client may read it.

/** One of the versions that met. */
export const conflictVersion = z.object({
  /** The event that wrote it. */
  event: z.string(),
  node: z.string(),
  /** `<lane>:<seq>`: which of that node's events. */
  dot: z.string(),
  /** The time by which it counts, ms since the epoch: its writer's clock, but never later than when the hub took it. */
  countsMs: z.number(),
  /** Orders what counts as of one ms. */
  order: z.number(),
  /** Its writer's clock was ahead, or it came so late that the clock does not count; null: the clock counts. */
  bound: z.enum(["ahead", "late"]).nullable(),
  /**
   * What it wrote there; null: it removed it. Absent where it wrote something around it that has no place for it, and where the
   * value is too long to be kept here.
   */
  value: z.unknown().optional(),
  /** Length of the value as JSON, where it is not kept here: the event has it, as long as the log has the event. */
  cutBytes: z.number().optional(),
});
export type ConflictVersion = z.infer<typeof conflictVersion>;

/** Concurrent writes of one place in one aggregate. */
export const conflictRecord = z.object({
  v: z.literal(1),
  /** `<log index>.<n>`: the nth conflict that showed when the event of that index was folded. */
  id: z.string(),
  /** `<reign>.<index>` of that event. */
  log: z.string(),
  /** When the hub took it, ms since the epoch. */
  atMs: z.number(),
  domain: z.string(),
  aggregate: z.string(),
  resolver: z.string(),
  /** Where in the aggregate's value; empty: all of it. */
  path: z.array(z.string()),
  kind: z.enum(["lost", "siblings", "merged", "removed"]),
  rule: z.string(),
  /** False: one of them does not say what its writer had seen, so it may have been no conflict. */
  certain: z.boolean(),
  winner: conflictVersion.nullable(),
  loser: conflictVersion.nullable(),
  /** In words. */
  why: z.string(),
});
export type ConflictRecord = z.infer<typeof conflictRecord>;

/** What was done about a conflict since. */
export const resolutionRecord = z.object({
  v: z.literal(1),
  id: z.string(),
  how: z.enum(["reinstated", "resolved"]),
  /** The event that did it, whose it is, and where it stands in the log. */
  event: z.string(),
  node: z.string(),
  log: z.string(),
  atMs: z.number(),
  /** Its sequence in the hub's CIM_EVENTS: from there on the log is looked through for the next ones. */
  seq: z.number().int(),
});
export type ResolutionRecord = z.infer<typeof resolutionRecord>;

/** A conflict, and the newest that was done about it. */
export type JournalledConflict = ConflictRecord & { readonly resolution: ResolutionRecord | null };

const ID = /^[1-9]\d{0,15}\.\d{1,6}$/;

/** Whether a text names a conflict. */
export const isConflictId = (text: string): boolean => ID.test(text);

/** The place in the log where it showed. */
export const indexOfConflict = (id: string): number => Number(id.split(".")[0]);
