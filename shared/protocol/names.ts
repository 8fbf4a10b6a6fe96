// Every stream, bucket and header name of cim. Nothing else in the project spells one out.

/** JetStream streams. `KV_…` are KV buckets, created explicitly as streams so that they allow atomic batches. */
export const STREAM = {
  /** A node's own writes, in its order. On every node. */
  outbox: "CIM_OUTBOX",
  /** On the hub the log, on a leaf its copy. */
  events: "CIM_EVENTS",
  /** Events the sequencer would not take, with the reason. At their origin. */
  refused: "CIM_REFUSED",
  /** How far readers with a durable name have read on this node. */
  readers: "CIM_READERS",
  /** What programs on a leaf answered commands, by id. In memory, the oldest go first. */
  answers: "CIM_ANSWERS",
  /** At the hub: what conflicted, what won and why. */
  conflicts: "CIM_CONFLICTS",
  /** At the hub: versions of aggregates of strong domains whose newest event was purged. */
  versions: "CIM_VERSIONS",
  nodes: "KV_CIM_NODES",
  control: "KV_CIM_CONTROL",
  /** Aggregates' states, folded from the node's log or copy. On every node that is asked to keep them. */
  state: "KV_CIM_STATE",
} as const;

/** KV bucket names: the stream's name without `KV_`. */
export const BUCKET = { nodes: "CIM_NODES", control: "CIM_CONTROL", state: "CIM_STATE" } as const;

export const HEADER = {
  /** Event id given by the publisher (UUIDv7 by convention); JetStream deduplicates on it in the outbox. */
  msgId: "Nats-Msg-Id",
  correlation: "X-Correlation-ID",
  causation: "X-Causation-ID",
  traceparent: "traceparent",
  /**
   * Hybrid logical clock and, where its writer said so, what it had seen: `<ms>.<counter>[ <lane>:<seq>]…`. Stamped by the
   * sequencer where it was missing.
   */
  clock: "Cim-Clock",
  /** `<epoch>-<reign id>.<index>`: where the event stands in the log. */
  log: "Cim-Log",
  /** `<node> <incarnation> <lane> <seq>`: where it came from. */
  origin: "Cim-Origin",
  /** `<log index>.<n>`: the conflict that an event resolves, as the journal names it. */
  resolves: "Cim-Resolves",
  /** Of an event in CIM_REFUSED: the subject it was published to. */
  subject: "Cim-Subject",
  /** The event's id, the same on every node. */
  id: "Cim-Id",
  /** `<appended, µs> <ingested, µs>`, both since the epoch: the origin's and the sequencer's clock. */
  time: "Cim-Time",
  /** Of a commit to a strong domain, not kept: `<version>` that its aggregate must be at, or `none`. */
  expectedVersion: "Cim-Expected-Version",
  /** `<bytes>`: on the way up alone, in the place of an event's headers and body that the hub could not take. */
  withheld: "Cim-Withheld",
} as const;

/** Headers that only the log's writer may set; a publisher's own are dropped. */
export const RESERVED_HEADERS: readonly string[] = [
  HEADER.log,
  HEADER.origin,
  HEADER.id,
  HEADER.time,
  HEADER.withheld,
];

/** The users that programs connect as. `app` may do what all the others may, and more. */
export const PROGRAM_USERS = ["app", "cim-events", "cim-commands", "cim-queries", "cim-sagas"] as const;
export type ProgramUserName = (typeof PROGRAM_USERS)[number];

const READER_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** What a reader's durable name must look like, for error messages. */
export const READER_NAME_RULE =
  "1 to 63 characters of A-Z, a-z, 0-9, _ and -, beginning with a letter or digit";

/** A durable name is one word of a subject. Without the types' help a program may pass what is no text. */
export function isReaderName(name: unknown): boolean {
  return typeof name === "string" && READER_NAME.test(name);
}

const NODE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** What a node name must look like, for error messages. */
export const NODE_NAME_RULE = "1 to 63 characters of a-z, 0-9 and -, not beginning with -";

/** A node's name is also its server's name and its JetStream domain. */
export function isNodeName(name: string): boolean {
  return NODE_NAME.test(name);
}
