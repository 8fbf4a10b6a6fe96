import * as z from "zod";

// What the bucket CIM_STATE holds, as JSON. Any NATS client may read it; `shared/follow/read-state.ts` does for ours.

const position = z.string();
const count = z.number().int().min(0);

/** An aggregate's state, folded from the log. */
export const storedState = z.object({
  v: z.literal(1),
  /** `<reign>.<index>` of the newest event that is in it: all of the aggregate's up to there are. */
  log: position,
  /** How many events are in it. */
  events: count,
  /** When the log took the newest of them, ms since the epoch. */
  updatedMs: z.number(),
  /** What who has read this has seen, by lane, and the latest time among its events: later is what is written next. */
  seen: z.record(z.string(), count),
  time: z.object({ ms: z.number(), counter: count }),
  /** The resolver that made it, and can read `state`. */
  resolver: z.string(),
  /** The resolver's own, as it encoded it. */
  state: z.unknown(),
  /** What a program reads. */
  value: z.unknown(),
  deleted: z.boolean(),
  /** Concurrent versions that nothing has merged yet, by path in the value. */
  siblings: z.array(
    z.object({
      path: z.array(z.string()),
      versions: z.array(z.object({ value: z.unknown() }).loose()),
    }),
  ),
});
export type StoredState = z.infer<typeof storedState>;

/** How far a node's states have come; one message, written in the same batch as the states that it speaks of. */
export const stateCheckpoint = z.object({
  v: z.literal(1),
  /** Who writes: one run of a daemon. Another one that begins takes over, and this one is refused from then on. */
  by: z.string(),
  /** Sequence in this node's CIM_EVENTS up to which everything is folded, and when that stream was created. */
  seq: count,
  created: z.string(),
  /** What the message at `seq` says of its place in the log; null: nothing. */
  here: position.nullable(),
  /** `<reign>.<index>` of the furthest message among them; null: none yet. */
  log: position.nullable(),
  /** The reigns that they are of, the newest last, and the index at which each begins. */
  reigns: z.array(z.tuple([z.string(), count])),
  /** Events folded, those set aside, and those that belong to no aggregate. */
  events: count,
  poisoned: count,
  unowned: count,
  /** Domains that states are kept of; `*`: all. */
  domains: z.array(z.string()),
  /** Which generation is the present one of a domain; `*`: of all that are not named. */
  generations: z.record(z.string(), z.number().int().min(1)),
  /** By what contract a domain's states were made, as a hash; of domains that have states. */
  contracts: z.record(z.string(), z.string()),
  /** What the log said of lanes and retired nodes: needed to read the clocks of events (`LaneHistory`). */
  lanes: z.unknown(),
  /** Index that the log began at where older events were to be had from nowhere: states may lack them. 0: they lack none. */
  missingBefore: count,
  /** Domains that the copy is being filled with again: what was folded of them may have lacked events. */
  refilled: z.array(z.string()),
  /** Subjects of generations that are no longer read, and not purged yet. */
  stale: z.array(z.string()),
});
export type StateCheckpoint = z.infer<typeof stateCheckpoint>;

/** An event that was set aside: it is in the log and in no state. */
export const poisonedEvent = z.object({
  v: z.literal(1),
  log: position,
  subject: z.string(),
  id: z.string(),
  reason: z.string(),
});
export type PoisonedEvent = z.infer<typeof poisonedEvent>;

/** Reads a value of the bucket; undefined: it is none of that kind, or one of a later version. */
export function decodeStored<T>(kind: z.ZodType<T>, body: Uint8Array): T | undefined {
  try {
    return kind.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

export const encodeStored = (value: StoredState | StateCheckpoint | PoisonedEvent): Uint8Array =>
  Buffer.from(JSON.stringify(value));

/** The generation that a domain's present states are of. */
export function generationOf({ generations }: Pick<StateCheckpoint, "generations">, domain: string): number {
  return (Object.hasOwn(generations, domain) ? generations[domain] : generations["*"]) ?? 1;
}
