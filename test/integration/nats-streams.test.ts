import { Kvm } from "@nats-io/kv";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream, ensureStreams, StreamUnusable } from "../../shared/nats/ensure-stream.ts";
import { JetStreamRefused, jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import {
  BLOCK_ROOM_BYTES,
  bucketStream,
  eventsStream,
  outboxStream,
  refusedStream,
  type StreamsInput,
  wantedStreams,
} from "../../shared/nats/streams.ts";
import { BUCKET, STREAM } from "../../shared/protocol/names.ts";
import { freePort } from "../support/free-port.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
const hub: StreamsInput = {
  role: "hub",
  nats: { maxPayload: MiB, maxMemory: 8 * MiB },
  outbox: { maxBytes: 64 * MiB },
  log: { maxBytes: null },
  sync: { enabled: true },
};
const outbox = outboxStream({ maxBytes: 64 * MiB, maxPayload: MiB });

/** A stream that all tests leave alone. */
const STAYS = "STAYS";

let server: TestNatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  // With its last stream nats-server removes an account's folder, and may do so while the next one is being made (10049).
  await jetStreamApi(nc, `STREAM.CREATE.${STAYS}`, { name: STAYS, subjects: ["test.stays"] });
});

beforeEach(async () => {
  const { streams } = await jetStreamApi<{ streams: string[] | null }>(nc, "STREAM.NAMES", undefined);
  for (const name of streams ?? [])
    if (name !== STAYS) await jetStreamApi(nc, `STREAM.DELETE.${name}`, undefined);
});

afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});

const info = (stream: string) =>
  jetStreamApi<{ config: Record<string, unknown>; state: { messages: number; bytes: number } }>(
    nc,
    `STREAM.INFO.${stream}`,
    undefined,
  );
const publish = async (subject: string, body = "x") =>
  (await nc.request(subject, body, { timeout: 20_000 })).json<{
    seq?: number;
    error?: { err_code: number };
  }>();

test("each role gets its streams, and a second look changes nothing", async () => {
  const names = (input: StreamsInput) => wantedStreams(input).map((stream) => stream.name);
  expect(names(hub)).toEqual([
    "CIM_OUTBOX",
    "CIM_REFUSED",
    "CIM_READERS",
    "CIM_EVENTS",
    "CIM_CONFLICTS",
    "CIM_VERSIONS",
    "KV_CIM_NODES",
    "KV_CIM_CONTROL",
  ]);
  expect(names({ ...hub, role: "leaf" })).toEqual([
    "CIM_OUTBOX",
    "CIM_REFUSED",
    "CIM_READERS",
    "CIM_EVENTS",
    "CIM_ANSWERS",
  ]);
  expect(names({ ...hub, role: "leaf", sync: { enabled: false } })).toEqual([
    "CIM_OUTBOX",
    "CIM_REFUSED",
    "CIM_READERS",
    "CIM_ANSWERS",
  ]);

  const outcomes = async () => (await ensureStreams(nc, wantedStreams(hub))).map((stream) => stream.outcome);
  expect(await outcomes()).toEqual(wantedStreams(hub).map(() => "created"));
  expect(await outcomes()).toEqual(wantedStreams(hub).map(() => "unchanged"));
});

test("what is published below cim.log. is stored below cim.events.; the outbox takes cim.events. itself", async () => {
  await ensureStreams(nc, wantedStreams(hub));
  expect(await publish("cim.log.person.PersonCreated")).toMatchObject({ stream: "CIM_EVENTS", seq: 1 });
  const stored = await nc.request("$JS.API.DIRECT.GET.CIM_EVENTS.cim.events.person.PersonCreated", "", {
    timeout: 20_000,
  });
  expect(stored.string()).toBe("x");
  expect(await publish("cim.events.person.PersonCreated")).toMatchObject({ stream: "CIM_OUTBOX", seq: 1 });
  expect((await info("CIM_EVENTS")).state.messages).toBe(1);
});

test("an outbox that is full refuses and keeps what it has", async () => {
  await ensureStream(nc, { ...outbox, max_bytes: 2_000 });
  let full: number | undefined;
  for (let i = 0; full === undefined && i < 100; i++) {
    full = (await publish("cim.events.a.B", "x".repeat(200))).error?.err_code;
  }
  expect(full).toBe(10077);
  const { state } = await info("CIM_OUTBOX");
  expect(state.messages).toBeGreaterThan(3);
  expect(
    (await nc.request("$JS.API.DIRECT.GET.CIM_OUTBOX", '{"seq":1}', { timeout: 20_000 })).headers?.code,
  ).toBe(0);
});

test("an event that would not fit a block is refused at once", async () => {
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: 256 * 1024 }));
  const most = 256 * 1024 - BLOCK_ROOM_BYTES;
  expect((await publish("cim.events.a.B", "x".repeat(most))).seq).toBe(1);
  expect((await publish("cim.events.a.B", "x".repeat(most + 1))).error?.err_code).toBe(10054);
});

test.each([
  ["Nats-Rollup", "all"],
  ["Nats-TTL", "1s"],
])("no header of a publisher deletes events: %s", async (name, value) => {
  await ensureStream(nc, outbox);
  await publish("cim.events.a.B");
  const h = headers();
  h.set(name, value);
  const answer = (await nc.request("cim.events.a.B", "x", { headers: h, timeout: 20_000 })).json<{
    error?: unknown;
  }>();
  expect(answer.error).toBeDefined();
  expect((await info("CIM_OUTBOX")).state.messages).toBe(1);
});

test("limits and switches are brought up to what is wanted, what nobody asked for stays", async () => {
  await jetStreamApi(nc, "STREAM.CREATE.CIM_OUTBOX", {
    ...outbox,
    max_bytes: 8 * MiB,
    allow_atomic: false,
    discard: "old",
    description: "mine",
    metadata: { team: "a" },
  });
  await publish("cim.events.a.B");
  const done = await ensureStream(nc, outbox);
  expect(done.outcome).toBe("updated");
  expect([...done.changed].sort()).toEqual(["allow_atomic", "discard", "max_bytes", "metadata"]);
  const { config, state } = await info("CIM_OUTBOX");
  expect(config).toMatchObject({
    ...outbox,
    description: "mine",
    metadata: { team: "a", ...outbox.metadata },
  });
  expect(state.messages).toBe(1);
});

test("a limit below what is stored deletes nothing, at once or after a restart", async () => {
  await jetStreamApi(nc, "STREAM.CREATE.CIM_OUTBOX", { ...outbox, discard: "old" });
  for (let i = 0; i < 20; i++) await publish("cim.events.a.B", "x".repeat(200));
  const small = { ...outbox, max_bytes: 1_000 };
  expect((await ensureStream(nc, small)).outcome).toBe("updated");
  await server.kill();
  await server.restart();
  await ensureStream(nc, small);
  expect((await info("CIM_OUTBOX")).state.messages).toBe(20);
  expect((await publish("cim.events.a.B")).error?.err_code).toBe(10077);
});

test.each([
  [
    "other subjects",
    { ...eventsStream({ maxBytes: null }), subjects: ["cim.events.>"], subject_transform: undefined },
  ],
  ["no transform", { ...eventsStream({ maxBytes: null }), subject_transform: undefined }],
  ["memory", { ...eventsStream({ maxBytes: null }), storage: "memory" }],
  ["a work queue", { ...eventsStream({ maxBytes: null }), retention: "workqueue" }],
  ["deletes denied", { ...eventsStream({ maxBytes: null }), deny_delete: true }],
  ["a source", { ...eventsStream({ maxBytes: null }), sources: [{ name: "OTHER" }] }],
])("a stream of that name that is not ours is left alone and named: %s", async (_, config) => {
  await jetStreamApi(nc, "STREAM.CREATE.CIM_EVENTS", config);
  const before = (await info("CIM_EVENTS")).config;
  const error = (await ensureStream(nc, eventsStream({ maxBytes: null })).catch((e: Error) => e)) as Error;
  expect(error).toBeInstanceOf(StreamUnusable);
  expect(error.message).toMatch(/^stream CIM_EVENTS: .*back it up and delete or rename it$/);
  expect((await info("CIM_EVENTS")).config).toEqual(before);
});

test("another stream that holds these subjects is said by JetStream's own words", async () => {
  await jetStreamApi(nc, "STREAM.CREATE.MINE", { name: "MINE", subjects: ["cim.events.mine.>"] });
  const error = (await ensureStream(nc, outbox).catch((e: Error) => e)) as Error;
  expect(error).toBeInstanceOf(StreamUnusable);
  expect(error.cause).toBeInstanceOf(JetStreamRefused);
  expect(error.message).toMatch(/stream CIM_OUTBOX: .*overlap/);
});

test("two that ensure the same stream at once both succeed", async () => {
  const both = await Promise.all([ensureStream(nc, refusedStream()), ensureStream(nc, refusedStream())]);
  expect(both.map((one) => one.stream)).toEqual([STREAM.refused, STREAM.refused]);
});

test("a bucket is one that NATS clients open, and takes atomic batches", async () => {
  await ensureStream(nc, bucketStream(BUCKET.control));
  const kv = await new Kvm(nc).open(BUCKET.control);
  const revision = await kv.create("lease", "a");
  await expect(kv.create("lease", "b")).rejects.toThrow();
  await kv.update("lease", "c", revision);
  await kv.delete("lease");
  expect((await info(STREAM.control)).config).toMatchObject({ allow_atomic: true });
});

test("waits for a server that is starting, and says so when it does not come", async () => {
  const port = await freePort();
  await using other = await startNatsServer({ port });
  const connection = await connectNats({ url: other.url, name: "test" });
  try {
    await other.kill();

    await expect(ensureStream(connection, outbox, { timeoutMs: 300 })).rejects.toThrow(
      /CIM_OUTBOX: JetStream does not answer within 300 ms/,
    );
    const made = ensureStream(connection, outbox);
    await other.restart();
    expect((await made).outcome).toBe("created");
  } finally {
    await connection.close();
  }
});
