import * as z from "zod";

// What the log says about itself: its control records, JSON bodies stored below `cim.events._cim.`.

const reign = z.object({ epoch: z.number().int().min(0), id: z.string() });
const mark = z.object({ seq: z.number().int().min(0), print: z.string() });

/** First record of a reign. */
export const reignRecord = z.object({
  reign,
  /** Which coordinator leads. */
  by: z.string(),
  /** Last position of the log before it; null at the log's birth. */
  previous: z.object({ reign, index: z.number().int() }).nullable(),
});

/**
 * On the fence's own subject. Every batch of a reign expects the newest message there to be the one that opened it. A
 * sequence alone would not do: in a log that was restored, another reign's record may stand at the very same one.
 */
export const fenceRecord = z.object({ reign, open: z.boolean() });
export type FenceRecord = z.infer<typeof fenceRecord>;

/** A new incarnation of an origin, from the point where its outbox left the old one. */
export const laneRecord = z.object({
  node: z.string(),
  incarnation: z.number().int().min(1),
  /** 0: the node was not known before. */
  predecessor: z.number().int().min(0),
  /** Last event that both incarnations share. */
  common: mark,
});

/** An event the sequencer would not take. It moves the lane's mark like an event does. */
export const refusedRecord = z.object({
  node: z.string(),
  incarnation: z.number().int().min(1),
  seq: z.number().int().min(1),
  print: z.string(),
  id: z.string(),
  reason: z.string(),
});
export type RefusedRecord = z.infer<typeof refusedRecord>;

/** Events of an origin that are gone, accepted by an operator: those after `after` and before `before`. */
export const holeRecord = z.object({
  node: z.string(),
  incarnation: z.number().int().min(1),
  after: z.number().int().min(0),
  before: z.number().int().min(1),
});

/** An operator says that a node is gone for good: nothing more comes of it, until a lane of it begins anew. */
export const retiredRecord = z.object({ node: z.string() });

const laneMarks = z.object({
  node: z.string(),
  incarnation: z.number().int().min(1),
  mark,
  /** Highest sequence that the log has of any of its incarnations. */
  top: z.number().int().min(0),
  /** Refused events that the origin may not have set aside yet, of all its incarnations. */
  refused: z.array(z.object({ seq: z.number().int(), print: z.string(), reason: z.string() })),
  /** The node is gone for good, as the log stands; absent: it is not. */
  retired: z.boolean().optional(),
});

/** All marks at a point of the log: a start does not read further back, and the log may be purged behind it. */
export const marksRecord = z.object({
  lanes: z.array(laneMarks),
  /** Events taken, by domain and origin, since the log's birth. */
  totals: z.array(z.tuple([z.string(), z.string(), z.number().int()])),
  refusedTotals: z.array(z.tuple([z.string(), z.number().int()])),
  /** When the newest event was taken, ms since the epoch; records of older builds don't say. */
  takenMs: z.number().optional(),
});
export type MarksRecord = z.infer<typeof marksRecord>;

/** In a marks record, stands for the domains that are too many to be counted by name. */
export const OTHER_DOMAINS = "_other";

/** In a copy's record, and where domains are configured, stands for every domain. */
export const ALL_DOMAINS = "*";

export const followsDomain = (domains: readonly string[], domain: string): boolean =>
  domains.includes(ALL_DOMAINS) || domains.includes(domain);

/** Kept in a copy only: which domains it has, which it is being filled with. */
export const copyRecord = z.object({
  /** Domains the copy follows; `*` for all. */
  live: z.array(z.string()),
  /** Where following stood when this was written; null: at the log's beginning. */
  at: z.object({ reign, index: z.number().int() }).nullable(),
  filling: z
    .object({
      domains: z.array(z.string()),
      /** Log index up to which the new domains are filled. */
      done: z.number().int().min(0),
    })
    .nullable(),
  /** Domains that it does not name are being purged: to be done again after a crash. */
  purging: z.boolean().optional(),
});
export type CopyRecord = z.infer<typeof copyRecord>;

/** What a control record's body says; undefined: it is none of that kind. */
export function readRecord<T>(kind: z.ZodType<T>, { body }: { readonly body: Uint8Array }): T | undefined {
  try {
    return kind.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
