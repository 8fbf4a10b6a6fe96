import type { Contracts } from "../consistency/contract/contract.ts";
import { CONTRACTS_METADATA, encodeContracts } from "../consistency/contract/published-contracts.ts";
import { COMMAND_SUBJECT } from "../protocol/commands.ts";
import { PURGED_VERSIONS } from "../protocol/commit.ts";
import { PROTOCOL_METADATA, PROTOCOL_VERSION } from "../protocol/messages.ts";
import { BUCKET, STREAM } from "../protocol/names.ts";
import { EVENTS_PREFIX, LOG_PREFIX, SUBJECT } from "../protocol/subjects.ts";

/** A stream as it should be, in the words of JetStream's API (ADR-8, ADR-50); durations in nanoseconds. */
export interface StreamDefinition {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly subject_transform?: { readonly src: string; readonly dest: string };
  readonly retention: "limits";
  readonly storage: "file" | "memory";
  readonly discard: "new" | "old";
  readonly num_replicas: number;
  /** -1: without limit, here and below. */
  readonly max_bytes: number;
  readonly max_msg_size: number;
  readonly max_msgs: number;
  readonly max_msgs_per_subject: number;
  readonly max_age: number;
  readonly duplicate_window: number;
  readonly allow_direct: boolean;
  readonly allow_atomic: boolean;
  readonly allow_rollup_hdrs: boolean;
  readonly deny_delete: boolean;
  readonly deny_purge: boolean;
  /** JetStream keeps entries of its own (`_nats.…`) beside these. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What of a daemon's configuration decides its streams. */
export interface StreamsInput {
  readonly role: "hub" | "leaf";
  readonly nats: { readonly maxPayload: number; readonly maxMemory: number };
  readonly outbox: { readonly maxBytes: number };
  readonly log: { readonly maxBytes: number | null };
  readonly sync: { readonly enabled: boolean };
}

/** What a block and its headers may add to an event: no event that an outbox takes is too large to ship. */
export const BLOCK_ROOM_BYTES = 64 * 1024;

const NS_PER_MS = 1_000_000;

/**
 * What all have in common. Full means an error to the writer, never the loss of what is stored. No age, no rollup, no
 * time-to-live: nothing a publisher or a clock says deletes an event. Deleting and purging stay possible: trimming,
 * retention and repair need them, and they are denied to programs by their rights.
 */
const KEPT = {
  retention: "limits",
  storage: "file",
  discard: "new",
  num_replicas: 1,
  max_bytes: -1,
  max_msg_size: -1,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  max_age: 0,
  duplicate_window: 120_000 * NS_PER_MS,
  allow_direct: true,
  allow_atomic: true,
  allow_rollup_hdrs: false,
  deny_delete: false,
  deny_purge: false,
} as const;

/**
 * A node's own writes.
 * @param maxPayload the hub's largest message, bytes
 */
export function outboxStream(limits: {
  readonly maxBytes: number;
  readonly maxPayload: number;
  /** Published to the node's programs; left out: what is published stays. */
  readonly contracts?: Contracts;
}): StreamDefinition {
  return {
    ...KEPT,
    name: STREAM.outbox,
    subjects: [SUBJECT.allEvents],
    max_bytes: limits.maxBytes,
    max_msg_size: limits.maxPayload - BLOCK_ROOM_BYTES,
    metadata: {
      [PROTOCOL_METADATA]: String(PROTOCOL_VERSION),
      ...(limits.contracts && { [CONTRACTS_METADATA]: encodeContracts(limits.contracts) }),
    },
  };
}

/**
 * The log on a hub, the copy on a leaf. Written below `cim.log.`, which only daemons may, and stored below
 * `cim.events.`, where every reader looks. Its records carry no `Nats-Msg-Id`, and if one did, the shortest window
 * that JetStream allows keeps it from failing a batch (0 would mean two minutes).
 */
export function eventsStream(limits: { readonly maxBytes: number | null }): StreamDefinition {
  return {
    ...KEPT,
    name: STREAM.events,
    subjects: [SUBJECT.allLog],
    subject_transform: { src: `${LOG_PREFIX}>`, dest: `${EVENTS_PREFIX}>` },
    max_bytes: limits.maxBytes ?? -1,
    duplicate_window: 100 * NS_PER_MS,
  };
}

/** Events the sequencer would not take, kept at their origin until somebody looks. */
export function refusedStream(): StreamDefinition {
  return { ...KEPT, name: STREAM.refused, subjects: [SUBJECT.refused] };
}

/**
 * How far readers with a durable name have read, the newest record of each. Written by programs, with the sequence of the
 * record that it replaces: of two that write, one is refused.
 */
export function readersStream(): StreamDefinition {
  return { ...KEPT, name: STREAM.readers, subjects: [SUBJECT.readers], max_msgs_per_subject: 1 };
}

const ANSWERS_MAX_BYTES = 16 * 1024 * 1024;
const ANSWERS_MAX_AGE_MS = 600_000;

/**
 * What programs on a leaf have answered, by the ids of commands, for those that come again. A memory and no more: what it
 * forgets is done again. @param maxMemory what JetStream may use of the machine's memory, bytes
 */
export function answersStream({ maxMemory }: { readonly maxMemory: number }): StreamDefinition {
  return {
    ...KEPT,
    name: STREAM.answers,
    subjects: [COMMAND_SUBJECT.remembered],
    storage: "memory",
    discard: "old",
    max_bytes: Math.min(ANSWERS_MAX_BYTES, Math.floor(maxMemory / 2)),
    max_age: ANSWERS_MAX_AGE_MS * NS_PER_MS,
    max_msgs_per_subject: 1,
  };
}

/** Some 200,000 conflicts of short values. */
const MAX_CONFLICTS_BYTES = 256 * 1024 * 1024;

/**
 * The journal of conflicts, and what was resolved of them since. Kept by size and not with the log: what was lost can be
 * looked up when the log has forgotten it. The oldest go first: a full journal must not hold up the states that are folded.
 */
export function conflictsStream(): StreamDefinition {
  return {
    ...KEPT,
    name: STREAM.conflicts,
    subjects: [SUBJECT.conflicts, SUBJECT.resolutions],
    max_bytes: MAX_CONFLICTS_BYTES,
    max_msgs_per_subject: 1,
    discard: "old",
  };
}

/** Versions of strong domains' aggregates, of those whose newest event was purged from the log. */
export function versionsStream(): StreamDefinition {
  return { ...KEPT, name: STREAM.versions, subjects: [PURGED_VERSIONS], max_msgs_per_subject: 1 };
}

/** A KV bucket as the NATS clients expect one (ADR-8), and with atomic batches, which they do not ask for. */
export function bucketStream(bucket: string): StreamDefinition {
  return {
    ...KEPT,
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
  };
}

/** All streams of a node. */
export function wantedStreams(config: StreamsInput, contracts?: Contracts): StreamDefinition[] {
  const hub = config.role === "hub";
  return [
    outboxStream({
      maxBytes: config.outbox.maxBytes,
      maxPayload: config.nats.maxPayload,
      ...(contracts && { contracts }),
    }),
    refusedStream(),
    readersStream(),
    ...(hub || config.sync.enabled ? [eventsStream({ maxBytes: hub ? config.log.maxBytes : null })] : []),
    ...(hub ? [] : [answersStream(config.nats)]),
    ...(hub
      ? [conflictsStream(), versionsStream(), bucketStream(BUCKET.nodes), bucketStream(BUCKET.control)]
      : []),
  ];
}
