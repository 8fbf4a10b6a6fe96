import * as z from "zod";

// What a coordinator asks a node of what it holds, at `cim.node.<node>.control.proof`, and the node's answers.

const place = z.number().int().min(0);
const range = z.tuple([place, place]);
export const MOST_RANGES = 64;
/** An outbox's events that the log refused are not among those that are compared. */
const MOST_EXCEPTED = 10_000;

/**
 * counted: as it was counted when it was written, and again where the stream's own figures say that something has gone.
 * stored: read from the stream. content: all of it, from the disk.
 */
const look = z.enum(["counted", "stored", "content"]);
export type Look = z.infer<typeof look>;

const of = z.enum(["copy", "outbox"]);
export type ProofOf = z.infer<typeof of>;

const asked = {
  of,
  look,
  /** null: all that the copy follows; an outbox is compared whole. */
  domains: z.array(z.string()).max(10_000).nullable(),
  except: z.array(place).max(MOST_EXCEPTED),
};

export const proofRequest = z.discriminatedUnion("op", [
  z.object({
    op: z.literal("sums"),
    ...asked,
    /** Places, both ends included; where one ends behind what the node has, it ends there. */
    ranges: z.array(range).min(1).max(MOST_RANGES),
  }),
  z.object({ op: z.literal("list"), ...asked, range }),
  /** Drops the copy and fills it from the log again. */
  z.object({ op: z.literal("refill") }),
]);
export type ProofRequest = z.infer<typeof proofRequest>;
export type SumsRequest = Extract<ProofRequest, { op: "sums" }>;
export type ListRequest = Extract<ProofRequest, { op: "list" }>;

const held = {
  /** The first place that it still has; of a copy that is not told. */
  first: place,
  /** Up to where it has everything: log index of a copy, sequence of an outbox. */
  last: place,
  /** Of a copy: its last position's reign. */
  reign: z.string().nullable(),
  /** Of a copy: what it follows and has filled in. */
  domains: z.array(z.string()),
  /** Of an outbox: under which its events go up now. */
  incarnation: z.number().int().min(0),
  /** Content came from the disk; false: from the server, whose files are not readable to the daemon. */
  disk: z.boolean(),
};

export const proofReply = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("sums"),
    ...held,
    sums: z.array(z.tuple([z.number().int(), z.number().int(), z.number().int()])),
  }),
  z.object({
    kind: z.literal("list"),
    ...held,
    events: z.array(z.tuple([place, z.string(), z.string(), z.string()])),
  }),
  z.object({ kind: z.literal("refilling") }),
  z.object({ kind: z.literal("none"), reason: z.string() }),
]);
export type ProofReply = z.infer<typeof proofReply>;
export type Held = Omit<Extract<ProofReply, { kind: "sums" }>, "kind" | "sums">;
