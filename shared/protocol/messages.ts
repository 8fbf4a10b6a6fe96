import * as z from "zod";

// Messages between the daemons: JSON, checked where they come in. Blocks travel in their own format (block.ts).

export const PROTOCOL_VERSION = 1;

/** The oldest version that a client of this build works with on its node. */
export const OLDEST_PROTOCOL = 1;

/** Key in the outbox's stream metadata: the version of the protocol that the node's daemon speaks. */
export const PROTOCOL_METADATA = "cim.protocol";

/** Below what a position in the log can be written with, or one leaf's nonsense would make the log unreadable. */
const MAX_EPOCH = 1e12;
const reign = z.object({ epoch: z.number().int().min(0).max(MAX_EPOCH), id: z.string().max(16) });
const mark = z.object({ seq: z.number().int().min(0), print: z.string().max(32) });

/** `cim.ingest.<node>`: who am I to you? */
export const helloRequest = z.object({
  op: z.literal("hello"),
  version: z.number().int(),
  /** The highest reign the node ever had an answer from; null: none. */
  seen: reign.nullable(),
  /** First and last sequence of its outbox; `last` 0: empty from birth. */
  outbox: z.object({ first: z.number().int().min(0), last: z.number().int().min(0) }),
});
export type HelloRequest = z.infer<typeof helloRequest>;

/** `cim.ingest.<node>`: which of these events of mine do you have? Asked when an outbox is not the one the mark is of. */
export const printsRequest = z.object({
  op: z.literal("prints"),
  marks: z.array(mark).min(1).max(256),
});
export type PrintsRequest = z.infer<typeof printsRequest>;

/** `cim.ingest.<node>`: my outbox is another one after `common`: a new incarnation, please. */
export const incarnateRequest = z.object({
  op: z.literal("incarnate"),
  /** The reign that said where the two parted: another one's log may have been restored since. */
  reign,
  predecessor: z.number().int().min(0),
  common: mark,
});
export type IncarnateRequest = z.infer<typeof incarnateRequest>;

export const ingestRequest = z.discriminatedUnion("op", [helloRequest, printsRequest, incarnateRequest]);
export type IngestRequest = z.infer<typeof ingestRequest>;

/** The print, as an outbox that was put back may have another event of that sequence. */
const refusal = z.object({ seq: z.number().int().min(1), print: z.string().max(32), reason: z.string() });
export type Refusal = z.infer<typeof refusal>;

/** Answer to hello and incarnate: the lane as the log has it. Incarnation 0: not known. */
export const laneReply = z.object({
  kind: z.literal("lane"),
  version: z.number().int(),
  reign,
  incarnation: z.number().int().min(0),
  mark,
  /** Highest sequence that the log has of any incarnation: when the mark is lower, later events may be known already. */
  top: z.number().int().min(0),
  confirmed: z.number().int().min(0),
  refused: z.array(refusal),
  /** Largest message that the hub's server takes: a larger one would cost the link. Absent: not said. */
  maxMessageBytes: z.number().int().min(1).optional(),
});
export type LaneReply = z.infer<typeof laneReply>;

/** Answer to prints, in the order asked: the log has that very event, of whichever incarnation. */
export const printsReply = z.object({
  kind: z.literal("prints"),
  reign,
  known: z.array(z.boolean()),
});

/** Answer to a block that continued the lane. `accepted` keeps the pipe full, `confirmed` is what may be trimmed. */
export const takenReply = z.object({
  kind: z.literal("taken"),
  reign,
  accepted: z.number().int().min(0),
  confirmed: z.number().int().min(0),
  refused: z.array(refusal),
});
export type TakenReply = z.infer<typeof takenReply>;

/** Answer to a block that did not: what would. */
export const expectedReply = z.object({
  kind: z.literal("expected"),
  reign,
  incarnation: z.number().int().min(0),
  mark,
  confirmed: z.number().int().min(0),
});

/** Not now, or not in this form. `retry`: the same again later; else something must be changed first. */
export const rejectedReply = z.object({
  kind: z.literal("rejected"),
  reign: reign.nullable(),
  retry: z.boolean(),
  reason: z.string(),
});

export const ingestReply = z.discriminatedUnion("kind", [
  laneReply,
  printsReply,
  takenReply,
  expectedReply,
  rejectedReply,
]);
export type IngestReply = z.infer<typeof ingestReply>;

/** Where a node stands on the earth, degrees. */
export const coordinates = z.object({
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
});
export type Coordinates = z.infer<typeof coordinates>;

/** `cim.node.<node>.heartbeat`, from every agent. What is optional is not sent by older ones. */
export const heartbeat = z.object({
  version: z.number().int(),
  build: z.string(),
  /** The node's nats-server. */
  server: z.string().optional(),
  node: z.string(),
  /** The agent ends, in order: nothing more comes from this run. */
  goodbye: z.boolean().optional(),
  /** A random id of this run of the agent: two at once under one name show themselves. */
  run: z.string(),
  startedMs: z.number(),
  sentMs: z.number(),
  intervalMs: z.number(),
  region: z.string().nullable(),
  capabilities: z.array(z.string()),
  coordinates: coordinates.nullable().optional(),
  /** A hash of how the node's domains are replicated. */
  contracts: z.string().optional(),
  incarnation: z.number().int(),
  reign: reign.nullable(),
  outbox: z.object({
    first: z.number(),
    last: z.number(),
    bytes: z.number(),
    maxBytes: z.number(),
    confirmed: z.number(),
    /** Age of the oldest event not yet in the log, seconds; 0 when there is none. */
    oldestUnshippedS: z.number(),
  }),
  /** null: follows nothing down. */
  copy: z
    .object({
      reign: reign.nullable(),
      index: z.number(),
      domains: z.array(z.string()),
      /** When the origin stored the newest event here, ms since the epoch; 0: none. */
      newestMs: z.number(),
    })
    .nullable(),
  load: z.number(),
  /** Commands that programs on the node listen for, as `orders.Place`; null: not known. */
  handlers: z.array(z.string().max(512)).max(10_000).nullable().optional(),
  /** Those of them for which a program listens that does not say which commands it has: plain clients. */
  silent: z.array(z.string().max(512)).max(10_000).optional(),
  disk: z.object({ freeBytes: z.number(), runwayS: z.number().nullable() }),
  conditions: z.array(z.object({ code: z.string(), severity: z.string(), detail: z.string() })),
});
export type Heartbeat = z.infer<typeof heartbeat>;

/** `cim.node.<node>.control.accept-hole`: an operator accepts that events are gone. */
export const acceptHoleRequest = z.object({
  after: z.number().int().min(0),
  before: z.number().int().min(1),
});

/** `cim.node.<hub>.control.retire`: an operator says that a node is gone for good. */
export const retireRequest = z.object({ node: z.string() });

/** `reason`: why it is not retired, and what to do first. */
export const retireAnswer = z.object({ retired: z.boolean(), reason: z.string().optional() });
export type RetireAnswer = z.infer<typeof retireAnswer>;
