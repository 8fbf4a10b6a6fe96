import * as z from "zod";
import { modeKind, resolverKind, WRITE_MODE, WRITE_RESOLVER } from "./contracts-section.ts";
import { key } from "./described-key.ts";
import { bytes, domainOrAll, label, nodeName, userPublicKey } from "./value-kinds.ts";

const MiB = 1024 * 1024;

export const regionKey = key(label.default("default"), {
  what: "Where the node stands; routing prefers near ones.",
  write: 'one word, as "eu"',
});

export const capabilitiesKey = key(z.array(label).max(64).default([]), {
  what: "What commands may be routed here for.",
  write: 'a list of words, as ["gpu"]',
});

export const coordinatesKey = key(
  z
    .strictObject({
      latitude: key(z.number().min(-90).max(90), {
        what: "Degrees north of the equator; negative: south.",
        write: "a number from -90 to 90, as 52.52",
      }),
      longitude: key(z.number().min(-180).max(180), {
        what: "Degrees east of Greenwich; negative: west.",
        write: "a number from -180 to 180, as 13.4",
      }),
    })
    .nullable()
    .default(null),
  {
    what: "Where on the earth the node stands, if that is known; routing by distance needs it.",
    write: 'an object, as {"latitude": 52.52, "longitude": 13.4}, or null',
  },
);

/** A leaf that may link to this hub. */
export const leafEntry = z.strictObject({
  name: key(nodeName, { what: "The leaf's node name.", write: 'the leaf\'s node name, as "leaf1"' }),
  publicKey: key(userPublicKey, {
    what: "Public nkey of the leaf's link user (the seed stays on the leaf).",
    write: "the public key that the leaf printed (56 characters, begins with U)",
  }),
  region: regionKey,
  capabilities: capabilitiesKey,
});

export const leavesKey = key(z.array(leafEntry).max(10_000).default([]), {
  what: "Hub only: who may link.",
  write: 'a list of {"name", "publicKey", "region", "capabilities"}',
});

export const outboxSection = z.strictObject({
  maxBytes: key(bytes.min(MiB).default(1024 * MiB), {
    what: "Room for events that the hub does not have yet, bytes. When it is full, writers get an error; nothing older is dropped. Size it as bytes per second written x the longest time the link may be away.",
    write: "a number of bytes of at least 1048576, as 1073741824",
  }),
  maxAge: key(z.null().default(null), {
    what: "Always null: an age limit would delete events that no hub has yet.",
    write: "null, and outbox.retentionFloorMs for how long shipped events stay",
  }),
  retentionFloorMs: key(
    z
      .int()
      .min(0)
      .max(365 * 86_400_000)
      .default(600_000),
    {
      what: "How long an event stays in the outbox at least, milliseconds, even when every hub has it: local readers that fell behind find it there. Ten minutes cover a restart.",
      write: "a number of milliseconds, as 600000",
    },
  ),
});

export const syncSection = z.strictObject({
  enabled: key(z.boolean().default(true), {
    what: "Whether the node keeps a copy of the log. False: a leaf ships its outbox up and follows nothing down.",
    write: "true or false",
  }),
  domains: key(z.array(domainOrAll).min(1).max(1000).optional(), {
    what: 'Domains whose events the copy holds; ["*"] is all. Left out: all, or where a contract keeps one from this node (subscribers), those of the other contracts.',
    write: 'a list of domains, as ["person", "orders"], or ["*"] for all',
  }),
  mode: key(modeKind.default("eventual"), {
    what: "Mode of every domain whose contract says none: eventual (written locally, always accepted) or strong (committed by the hub, refused while it is away).",
    write: WRITE_MODE,
  }),
  conflictResolution: key(resolverKind.default("last-write-wins"), {
    what: "How concurrent writes of one aggregate are resolved in every domain whose contract says nothing: last-write-wins (by hybrid logical clock, ties by origin), vector-clock (siblings) or crdt.",
    write: WRITE_RESOLVER,
  }),
});

export const proofSection = z.strictObject({
  checkS: key(z.int().min(1).max(86_400).default(10), {
    what: "Seconds between two comparisons of all copies with the log, by sums that are kept anyway.",
    write: "a whole number of seconds of at least 1, as 10",
  }),
  scrubS: key(z.int().min(1).max(31_536_000).default(3600), {
    what: "Seconds from the end of one reading of all that is stored, bodies too, on every node to the beginning of the next. It takes its time: a twentieth of it is spent reading.",
    write: "a whole number of seconds of at least 1, as 3600",
  }),
});

export const logSection = z.strictObject({
  retentionDays: key(z.number().positive().max(36_500).default(30), {
    what: "Hub: how long the log keeps events, days. Purged once an hour, only behind a record of all positions; a copy that is further behind is filled anew.",
    write: "a number of days, as 30",
  }),
  maxBytes: key(
    bytes
      .min(16 * MiB)
      .nullable()
      .default(null),
    {
      what: "Hub: how large the log may grow, bytes; null leaves it to nats.maxFile.",
      write: "a number of bytes of at least 16777216, or null",
    },
  ),
});

/** How often a node tells that it lives, by preset, in milliseconds. Bytes per day are stated where heartbeats are sent. */
export const HEARTBEAT_INTERVAL_MS = { lan: 250, wan: 1_000, satellite: 10_000 } as const;

export const heartbeatSection = z.strictObject({
  preset: key(z.enum(["lan", "wan", "satellite"]).default("lan"), {
    what: "Which network the heartbeat is meant for: lan 250 ms, wan 1 s, satellite 10 s between two.",
    write: '"lan", "wan" or "satellite"',
  }),
  intervalMs: key(z.int().min(50).max(600_000).optional(), {
    what: "Time between two heartbeats, milliseconds. Default: that of the preset.",
    write: "a number of milliseconds from 50 to 600000, or leave it out for the preset's",
  }),
});
