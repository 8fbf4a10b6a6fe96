import * as z from "zod";

// What a node's agent (or a hub's coordinator) is asked about the states that it keeps: `cim.node.<node>.control.<verb>`.

/** Verb `state-rebuild`: folds states anew from the log's beginning, beside the present ones. Without domains: all. */
export const stateRebuildRequest = z.object({ domains: z.array(z.string()).min(1).max(1000).optional() });

/** It begins, or does not, and why. */
export const stateRebuildAnswer = z.object({ accepted: z.boolean(), reason: z.string().optional() });
export type StateRebuildAnswer = z.infer<typeof stateRebuildAnswer>;

/** Verb `state`: how the node's states are. */
export const stateReportAnswer = z.object({
  /** Why nothing is folded at present; null: it is. */
  stopped: z.string().nullable(),
  /** `<reign>.<index>` up to which the log is in them; null: nothing is. */
  log: z.string().nullable(),
  events: z.number().int(),
  /** Messages of the log or copy that wait. */
  waiting: z.number().int(),
  poisoned: z.object({
    count: z.number().int(),
    /** The first of them. */
    events: z.array(z.object({ log: z.string(), subject: z.string(), id: z.string(), reason: z.string() })),
  }),
  missingBefore: z.number().int(),
  /** Something is being folded anew, or is about to be. */
  rebuilding: z.boolean(),
  /** Under way: how many messages of the stream it has passed, and how many there are; null: none is. */
  rebuild: z
    .object({
      domains: z.array(z.string()),
      generation: z.number().int(),
      done: z.number().int(),
      of: z.number().int(),
    })
    .nullable(),
  /** Which generation is read, of each domain that has its own and (`*`) of all others. */
  generations: z.record(z.string(), z.number().int()),
});
export type StateReport = z.infer<typeof stateReportAnswer>;
