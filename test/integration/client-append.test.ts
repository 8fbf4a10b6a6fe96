import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Appended,
  ClientBusy,
  ClientClosed,
  connectCim,
  EventRejected,
  OutboxFull,
  StoreUnavailable,
} from "../../shared/client/connect-cim.ts";
import type { EventToAppend } from "../../shared/client/event-to-append.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
const event = { domain: "person", aggregate: "ada", type: "PersonCreated", data: { name: "Ada" } };
const numbered = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ ...event, aggregate: `p${n}`, data: { n } }));

let server: TestNatsServer;
let nc: NatsConnection;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
});

afterEach(async () => {
  await nc.close();
  await server[Symbol.asyncDispose]();
});

async function outbox(limits: { maxBytes?: number; maxPayload?: number } = {}) {
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: MiB, ...limits }));
}

const stored = (seq: number) => getMessage(nc, STREAM.outbox, { seq });
const count = async () => (await streamState(nc, STREAM.outbox)).messages;

/** The bodies of everything in the outbox, in order. */
async function bodies(): Promise<unknown[]> {
  const { messages } = await streamState(nc, STREAM.outbox);
  await using reader = await new StreamReader({ nc, stream: STREAM.outbox, startSeq: 1 }).start();
  const all: unknown[] = [];
  while (all.length < messages) {
    for (const { body } of await reader.next()) all.push(JSON.parse(Buffer.from(body).toString()));
  }
  return all;
}

test("an event is stored with who it is and what it follows from", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url });
  expect(cim.node).toBe("test");
  const root = await cim.append({ ...event, headers: { traceparent: "00-1-2-01" } });
  const next = await cim.append({ ...event, type: "PersonMoved", causedBy: root, id: "moved-1" });
  const last = await cim.append({
    domain: "person",
    type: "PersonsCounted",
    data: new Uint8Array([1, 2]),
    causedBy: next,
  });

  expect(root).toEqual({ node: "test", seq: 1, id: root.id, correlationId: root.id, causationId: root.id });
  expect(root.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
  expect(next).toEqual({ node: "test", seq: 2, id: "moved-1", correlationId: root.id, causationId: root.id });
  expect(last).toEqual({ node: "test", seq: 3, id: last.id, correlationId: root.id, causationId: "moved-1" });
  const first = await stored(1);
  expect(first?.subject).toBe("cim.events.person.ada.PersonCreated");
  expect(Buffer.from(first?.body ?? []).toString()).toBe('{"name":"Ada"}');
  const header = (name: string, text = first?.headerText ?? "") => headerValue(text, name);
  expect(header("Nats-Msg-Id")).toBe(root.id);
  expect(header("X-Correlation-ID")).toBe(root.id);
  expect(header("X-Causation-ID")).toBeUndefined();
  expect(header("traceparent")).toBe("00-1-2-01");
  const third = await stored(3);
  expect(third?.subject).toBe("cim.events.person.PersonsCounted");
  expect([...(third?.body ?? [])]).toEqual([1, 2]);
  expect(header("X-Causation-ID", third?.headerText)).toBe("moved-1");
});

test("callers at the same time share writes, keep their order and get their own answers", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url });
  const appended = await Promise.all(numbered(3_000).map((one) => cim.append(one)));
  expect(appended.map(({ seq }) => seq)).toEqual(Array.from({ length: 3_000 }, (_, n) => n + 1));
  expect(await bodies()).toEqual(Array.from({ length: 3_000 }, (_, n) => ({ n })));
  expect(new Set(appended.map(({ id }) => id)).size).toBe(3_000);
  const one = appended[1_234] as Appended;
  expect(headerValue((await stored(one.seq))?.headerText ?? "", "Nats-Msg-Id")).toBe(one.id);
});

test("a batch lies together, in order, whoever else writes", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url });
  const batches = Array.from({ length: 20 }, (_, b) => [0, 1, 2].map((n) => ({ ...event, data: { b, n } })));
  const results = await Promise.all(
    batches.flatMap((batch, b) => [
      cim.appendBatch(batch),
      cim.append({ ...event, data: { b, single: true } }).then((one) => [one]),
    ]),
  );
  for (const batch of results) {
    const first = batch[0]?.seq ?? 0;
    expect(batch.map(({ seq }) => seq)).toEqual(batch.map((_, n) => first + n));
  }
  expect(await bodies()).toEqual(
    batches.flatMap((batch, b) => [...batch.map(({ data }) => data), { b, single: true }]),
  );
  expect(await cim.appendBatch([])).toEqual([]);
});

test("a repeated id gives what is there, and nobody else suffers for it", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url });
  const before = await cim.append({ ...event, id: "same" });
  const batch = [0, 1].map((n) => ({ ...event, id: `batch-${n}` }));
  const [first] = await Promise.all([cim.appendBatch(batch), ...numbered(20).map((one) => cim.append(one))]);
  const [again, whole, ...others] = await Promise.all([
    cim.append({ ...event, id: "same" }),
    cim.appendBatch(batch),
    ...numbered(30).map((one) => cim.append(one)),
    cim.append({ ...event, id: "twice-at-once" }),
    cim.append({ ...event, id: "twice-at-once" }),
  ]);
  expect(again).toEqual({ ...before, duplicate: true });
  expect(whole).toEqual(first.map((one) => ({ ...one, duplicate: true })));
  expect(others.at(-1)).toEqual({ ...others.at(-2), duplicate: true });
  expect(others.slice(0, -1).every(({ duplicate }) => duplicate === undefined)).toBe(true);
  expect(await count()).toBe(1 + 2 + 20 + 30 + 1);
});

test("a full outbox says so at once, and goes on when there is room", async () => {
  await outbox({ maxBytes: 64 * 1024 });
  await using cim = await connectCim({ url: server.url });
  const large = { ...event, data: "x".repeat(1_000) };
  const results = await Promise.allSettled(Array.from({ length: 200 }, () => cim.append(large)));
  const kept = results.filter(({ status }) => status === "fulfilled").length;
  expect(await count()).toBe(kept);
  const fillUp = async () => {
    for (;;) await cim.append(large);
  };
  const full: unknown = await fillUp().catch((error: unknown) => error);
  expect(full).toBeInstanceOf(OutboxFull);
  expect(full).toMatchObject({
    name: "OutboxFull",
    node: "test",
    message: expect.stringMatching(/^the outbox of test is full \(maximum bytes exceeded\)[^\n]*$/),
    eventIds: [expect.any(String)],
  });
  const all = await count();
  await expect(cim.appendBatch([large, large])).rejects.toBeInstanceOf(OutboxFull);
  await expect(Promise.all(Array.from({ length: 50 }, () => cim.append(large)))).rejects.toBeInstanceOf(
    OutboxFull,
  );
  expect(await count()).toBe(all);
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { keep: 1 });
  await cim.append(large);
  expect(await count()).toBe(2);
});

test("a store without room for the outbox's own limit is a full outbox too", async () => {
  await server.restart({
    config:
      'server_name: test\njetstream { store_dir: "{dir}/nats", sync_interval: always, max_file_store: 100KB }\n',
  });
  await ensureStream(nc, { ...outboxStream({ maxBytes: 64 * MiB, maxPayload: MiB }), max_bytes: -1 });
  await using cim = await connectCim({ url: server.url });
  const fillUp = async () => {
    for (;;) await cim.append({ ...event, data: "x".repeat(10_000) });
  };
  await expect(fillUp()).rejects.toThrow(/^the outbox of test is full \(insufficient resources\)/);
});

test("what can't be stored is refused before it is sent, with the part that is wrong", async () => {
  await outbox({ maxPayload: 128 * 1024 });
  await using cim = await connectCim({ url: server.url });
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const wrong: [string, object][] = [
    ["domain", { domain: "a b" }],
    ["domain", { domain: "_cim" }],
    ["domain", { domain: "" }],
    ["aggregate", { aggregate: "a.b" }],
    ["aggregate", { aggregate: "*" }],
    ["aggregate", { aggregate: "x".repeat(3_000) }],
    ["type", { type: ">" }],
    ["type", { type: 7 }],
    ["id", { id: "a b" }],
    ["id", { id: "" }],
    ["causedBy", { causedBy: { id: "one", correlationId: "two\r\nCim-Log: 3" } }],
    ["headers", { headers: { "Nats-Rollup": "all" } }],
    ["headers", { headers: { "Cim-Origin": "hub 1 e 1" } }],
    ["headers", { headers: { "X-Correlation-ID": "mine" } }],
    ["headers", { headers: { "a:b": "c" } }],
    ["headers", { headers: { note: "two\r\nlines" } }],
    ["data", { data: circular }],
    ["data", { data: () => 1 }],
    ["data", { data: "x".repeat(64 * 1024) }],
  ];
  for (const [part, change] of wrong) {
    const error: unknown = await cim.append({ ...event, ...change }).catch((one: unknown) => one);
    expect(error, JSON.stringify(Object.keys(change))).toBeInstanceOf(EventRejected);
    expect(error).toMatchObject({ part, message: expect.stringMatching(new RegExp(`^${part}: [^\n]+$`)) });
  }
  for (const timeoutMs of [-1, Number.NaN, 2 ** 32])
    await expect(cim.append(event, { timeoutMs })).rejects.toThrow(
      /^timeoutMs: \S+ is no time to wait; write milli/,
    );
  const tooLarge = await cim.append({ ...event, data: "x".repeat(70_000) }).catch((one: unknown) => one);
  expect(tooLarge).toMatchObject({
    limit: { name: "max_msg_size of CIM_OUTBOX", max: 64 * 1024, actual: expect.any(Number) },
  });
  await expect(cim.appendBatch(numbered(1_001))).rejects.toMatchObject({
    part: "events",
    limit: { max: 1_000 },
  });
  await expect(cim.appendBatch([event, { ...event, type: "a b" }])).rejects.toBeInstanceOf(EventRejected);
  // Without the types' help.
  for (const none of [null, undefined, "event", 7] as unknown as EventToAppend[]) {
    const words = {
      name: "EventRejected",
      part: "events",
      message: expect.stringMatching(/is no event; write/),
    };
    await expect(cim.append(none)).rejects.toMatchObject(words);
    await expect(cim.appendBatch([event, none])).rejects.toMatchObject(words);
    const batch = cim.appendBatch(none as unknown as EventToAppend[]);
    await expect(batch).rejects.toMatchObject({ name: "EventRejected", part: "events" });
  }
  expect(await count()).toBe(0);
  // The largest that is let through is one that the server takes, alone and in a batch.
  const largest = { ...event, data: new Uint8Array(64 * 1024 - 256 - 150) };
  await Promise.all([cim.append(largest), cim.appendBatch(Array.from({ length: 10 }, () => largest))]);
  expect(await count()).toBe(11);
});

test("more than may wait is refused by name, large bodies by their bytes; who waits for room is not", async () => {
  await server.restart({
    config:
      'server_name: test\nmax_payload: 8MB\njetstream { store_dir: "{dir}/nats", sync_interval: always }\n',
  });
  await outbox({ maxPayload: 8 * MiB });
  await using cim = await connectCim({ url: server.url, maxQueuedBytes: 16 * MiB });
  const [large, whole] = [new Uint8Array(MiB), new Uint8Array(7 * MiB)];
  const calls = [large, whole, whole, large, whole].map((data) =>
    cim.append({ ...event, data }).catch((error: unknown) => error),
  );
  const results = await Promise.all(calls);
  expect(results.map((one) => (one instanceof Error ? one.name : "stored"))).toEqual([
    ...["stored", "stored", "stored", "ClientBusy", "ClientBusy"],
  ]);
  expect(results[3]).toBeInstanceOf(ClientBusy);
  expect(results[3]).toMatchObject({ limit: { name: "maxQueuedBytes", max: 16 * MiB } });
  await using few = await connectCim({ url: server.url, maxQueuedEvents: 20 });
  const appends: Promise<Appended>[] = [];
  for (const one of numbered(300)) {
    await few.room();
    appends.push(few.append(one));
  }
  expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 300 }, (_, n) => n + 4),
  );
});

test("a server that is killed while events are written has each of them once when it is back", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url, timeoutMs: 60_000 });
  let next = 0;
  const write = async () => {
    while (next < 4_000) {
      const n = next++;
      await cim.append({ ...event, data: { n } });
    }
  };
  const writers = Promise.all(Array.from({ length: 64 }, write));
  for (const reached of [500, 1_500, 2_500]) {
    while (next < reached) await new Promise((resolve) => setTimeout(resolve, 1));
    await server.restart();
  }
  await writers;
  const found = (await bodies()).map((body) => (body as { n: number }).n);
  expect(found.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 4_000 }, (_, n) => n));
});

test("a server that does not answer is an error in time, for all who wait", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url, timeoutMs: 1_000 });
  server.pause();
  try {
    const results = await Promise.allSettled(numbered(3_000).map((one) => cim.append(one)));
    const errors = results.map((one) => (one.status === "rejected" ? (one.reason as unknown) : undefined));
    expect(errors.every((error) => error instanceof StoreUnavailable)).toBe(true);
    expect(errors[0]).toMatchObject({ outcome: "unknown", eventIds: [expect.any(String)] });
    // One time-out and the question why, not one for every group: of those, each would be unknown.
    const unsent = errors.filter((error) => (error as StoreUnavailable).outcome === "not-stored");
    expect(unsent.length).toBeGreaterThanOrEqual(2_000);
    expect(errors.at(-1)).toMatchObject({ outcome: "not-stored", eventIds: [expect.any(String)] });
  } finally {
    server.resume();
  }
  await eventually(() => cim.append(event));
});

test("without a connection it says for how long it tried, and works again with one", async () => {
  await outbox();
  await using cim = await connectCim({ url: server.url, timeoutMs: 1_500 });
  await server.kill();
  await expect(cim.append(event)).rejects.toMatchObject({
    name: "StoreUnavailable",
    message: expect.stringMatching(/no connection to nats-server at nats:\/\/127\.0\.0\.1:\d+ for 1500 ms/),
  });
  await server.restart();
  expect((await eventually(() => cim.append({ ...event, id: "later" }))).id).toBe("later");
});

test("an outbox that is gone is named", async () => {
  await expect(connectCim({ url: server.url })).rejects.toMatchObject({
    name: "StoreUnavailable",
    message: expect.stringMatching(
      /^the store of test is not available: it has no CIM_OUTBOX; cim-agent, [^\n]*$/,
    ),
  });
  await outbox();
  await using cim = await connectCim({ url: server.url, timeoutMs: 1_500 });
  await jetStreamApi(nc, `STREAM.DELETE.${STREAM.outbox}`, undefined);
  await expect(cim.append(event)).rejects.toMatchObject({ name: "StoreUnavailable", outcome: "not-stored" });
});

test("closing waits for what was appended, and ends it", async () => {
  await outbox();
  const cim = await connectCim({ url: server.url });
  const appends = Promise.all(numbered(500).map((one) => cim.append(one)));
  await cim.close();
  expect(await appends).toHaveLength(500);
  await expect(cim.append(event)).rejects.toBeInstanceOf(ClientClosed);
  await cim.close();
});
