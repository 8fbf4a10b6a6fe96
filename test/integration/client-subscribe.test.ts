import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CimClient, type CimEvent, connectCim, ReaderAhead } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { isDown } from "../../shared/nats/connection-lost.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

let server: TestNatsServer;
let nc: NatsConnection;
let cim: CimClient;
let log: LogByHand;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  cim = await connectCim({ url: server.url });
  log = new LogByHand(nc);
  await log.reign(1, "aa");
});

afterEach(async () => {
  await cim.close();
  await nc.close();
  await server[Symbol.asyncDispose]();
});

const append = async (from: number, to: number, domain = "person") => {
  for (let n = from; n <= to; n++)
    await cim.append({ domain, aggregate: `p${n}`, type: "Made", data: { n }, id: `own-${n}` });
};

/** Reads until so many came, then whether anything more is here would show in the next test's events. */
async function read(count: number, options: Parameters<CimClient["subscribe"]>[0]): Promise<CimEvent[]> {
  const events: CimEvent[] = [];
  const signal = AbortSignal.timeout(60_000);
  for await (const event of cim.subscribe({ ...options, signal })) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}
const ids = (events: readonly CimEvent[]) => events.map(({ id }) => id);
const numbered = (word: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${word}-${from + i}`);

/** Returns when the reading has found where it begins: what is written from now on is newer. */
async function begun<T>(start: () => Promise<T>): Promise<{ readonly reading: Promise<T> }> {
  const consumers = async () => {
    const request = `CONSUMER.NAMES.${STREAM.events}`;
    return (await jetStreamApi<{ consumers: string[] | null }>(nc, request, {})).consumers ?? [];
  };
  const before = new Set(await consumers());
  const reading = start();
  await eventually(async () => (await consumers()).some((name) => !before.has(name)), { what: "the reader" });
  return { reading };
}

test("own events come at once, and not again with the log; others' come from it", async () => {
  await append(1, 3);
  const events = cim.subscribe({ from: "start", signal: AbortSignal.timeout(60_000) });
  const got: string[] = [];
  for await (const event of events) {
    got.push(event.id);
    if (got.length === 3) {
      expect(event).toMatchObject({
        domain: "person",
        aggregate: "p3",
        type: "Made",
        correlationId: "own-3",
      });
      expect(event.json()).toEqual({ n: 3 });
      expect(event.origin).toEqual({ node: "test", incarnation: undefined, seq: 3 });
      await log.takeOutbox("test");
      await log.others("leaf2", 1, 2);
    }
    if (got.length === 5) await append(4, 4);
    if (got.length === 6) {
      await log.takeOutbox("test");
      await log.others("leaf2", 3, 3);
    }
    if (got.length === 7) break;
  }
  expect(got).toEqual(["own-1", "own-2", "own-3", "leaf2-1", "leaf2-2", "own-4", "leaf2-3"]);
});

test("what was trimmed of the outbox comes from the log, before what is in it", async () => {
  await append(1, 6);
  await log.takeOutbox("test", 4);
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 4 });
  await log.others("leaf2", 1, 1);
  const events = await read(7, { from: "start" });
  expect(ids(events).filter((id) => id !== "leaf2-1")).toEqual(numbered("own", 1, 6));
  await log.takeOutbox("test");
  await log.others("leaf2", 2, 2);
  const more = await read(1, { from: events.at(-1)?.checkpoint as string });
  expect(ids(more)).toEqual(["leaf2-2"]);
});

test("any event's checkpoint goes on behind it, wherever the log has come meanwhile", async () => {
  await append(1, 5);
  await log.others("leaf2", 1, 3);
  const events = await read(8, { from: "start" });
  await log.takeOutbox("test", 3);
  await log.others("leaf2", 4, 4);
  await log.takeOutbox("test");
  const all = new Set([...ids(events), "leaf2-4"]);
  for (const [at, event] of events.entries()) {
    const before = ids(events.slice(0, at + 1));
    const rest = await read(all.size - before.length, { from: event.checkpoint });
    expect(new Set([...before, ...ids(rest)])).toEqual(all);
    expect(before.length + rest.length).toBe(all.size);
  }
});

test("by domain, aggregate and type; from now and from a time", async () => {
  await append(1, 2);
  await append(3, 3, "orders");
  expect(ids(await read(1, { from: "start", domain: "orders" }))).toEqual(["own-3"]);
  expect(ids(await read(1, { from: "start", aggregate: "p2" }))).toEqual(["own-2"]);
  expect(ids(await read(1, { from: "start", domain: "orders", type: "Made" }))).toEqual(["own-3"]);
  const some = { domain: ["orders", "person", "orders"], aggregate: ["p2", "p3"], type: ["Made", "Moved"] };
  expect(ids(await read(2, { from: "start", ...some }))).toEqual(["own-2", "own-3"]);
  expect(ids(await read(1, { from: "start", domain: ["orders"], type: ["marks", "Made"] }))).toEqual([
    "own-3",
  ]);
  expect(ids(await read(3, { from: "start", type: ["marks", "Made"] }))).toEqual(numbered("own", 1, 3));
  expect(() => cim.subscribe({ from: "start", domain: "a b" })).toThrow(/^domain: "a b" is no domain/);
  expect(() => cim.subscribe({ from: "start", domain: ["person", "_cim"] })).toThrow(
    /^domain: "_cim" is no domain/,
  );
  expect(() => cim.subscribe({ from: "start", type: [] })).toThrow(/^type: the list is empty/);
  expect(() => cim.subscribe({ from: "start", aggregate: ["a", "b.c"] })).toThrow(
    /^aggregate: "b.c" is not one word/,
  );
  expect(() => cim.subscribe({ from: "what" })).toThrow(/^from: "what" is no checkpoint/);
  await log.takeOutbox("test", 1);
  const since = new Date();
  await log.others("leaf2", 1, 1);
  // Not yet in the log at that time: it takes them later.
  expect(ids(await read(3, { from: since })).sort()).toEqual(["leaf2-1", "own-2", "own-3"]);
  const { reading } = await begun(() => read(2, { from: "now" }));
  await log.takeOutbox("test");
  await log.others("leaf2", 2, 2);
  await append(4, 4);
  expect(ids(await reading).sort()).toEqual(["leaf2-2", "own-4"]);
});

test("a checkpoint of an own event, before any of the log was read, goes on from where reading began", async () => {
  await append(1, 2);
  await log.takeOutbox("test");
  await log.others("leaf2", 1, 2);
  for (const from of ["now", new Date(Date.now() + 60_000)] as const) {
    const { reading } = await begun(() => read(1, { from }));
    await append(from === "now" ? 3 : 4, from === "now" ? 3 : 4);
    const [own] = await reading;
    const rest = read(1, { from: own?.checkpoint as string });
    await log.takeOutbox("test");
    await log.others("leaf3", from === "now" ? 1 : 2, from === "now" ? 1 : 2);
    expect(ids(await rest)).toEqual([from === "now" ? "leaf3-1" : "leaf3-2"]);
  }
});

test("over kill -9 of the server each comes once", async () => {
  await append(1, 3);
  const got: string[] = [];
  for await (const event of cim.subscribe({ from: "start", signal: AbortSignal.timeout(90_000) })) {
    got.push(event.id);
    if (got.length === 2) {
      await log.takeOutbox("test");
      await server.kill();
      await server.restart();
      await eventually(() => !isDown(nc), { what: "the test's own connection" });
      await log.others("leaf2", 1, 1);
      await append(4, 4);
    }
    if (got.length === 5) break;
  }
  expect(got.toSorted()).toEqual(["leaf2-1", "own-1", "own-2", "own-3", "own-4"]);
});

test("a node that does not have the log as far refuses the checkpoint; a restored log goes on where both agree", async () => {
  await log.others("leaf2", 1, 4);
  const [, second, , fourth] = await read(4, { from: "start" });
  await using other = await startNatsServer({
    config: 'server_name: two\njetstream { store_dir: "{dir}/nats" }\n',
  });
  const nc2 = await connectNats({ url: other.url, name: "test" });
  await ensureStream(nc2, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await ensureStream(nc2, eventsStream({ maxBytes: null }));
  await using cim2 = await connectCim({ url: other.url });
  const log2 = new LogByHand(nc2);
  await log2.reign(1, "aa");
  await log2.others("leaf2", 1, 3);
  const on = async (from: string, notices: string[] = []) => {
    for await (const event of cim2.subscribe({ from, waitMs: 300, onNotice: (line) => notices.push(line) }))
      return event.id;
    return undefined;
  };
  expect(await on(second?.checkpoint as string)).toBe("leaf2-3");
  await expect(on(fourth?.checkpoint as string)).rejects.toBeInstanceOf(ReaderAhead);
  await log2.reign(2, "bb");
  await log2.others("leaf2", 4, 4);
  const notices: string[] = [];
  expect(await on(fourth?.checkpoint as string, notices)).toBe("leaf2-4");
  expect(notices.join()).toMatch(/restored: events may come again/);
  await nc2.close();
});

test("a slow reader holds little, sees its lag, and misses nothing that is trimmed under it", async () => {
  const large = "x".repeat(4_000);
  const total = 3_000;
  const made = Array.from({ length: total }, (_, n) => ({
    domain: "person",
    aggregate: `p${n + 1}`,
    type: "Made",
    data: large,
    id: `own-${n + 1}`,
  }));
  await Promise.all(made.map((event) => cim.append(event)));
  const events = cim.subscribe({ from: "start", signal: AbortSignal.timeout(90_000) });
  const got: string[] = [];
  for await (const event of events) {
    got.push(event.id);
    if (got.length === 10) {
      // 12 MB wait: of these no more than its 2 MiB of buffer are here.
      const { outbox } = events.lag();
      expect(outbox.events).toBeGreaterThan(total / 2);
      expect(outbox.events).toBeLessThan(total);
      expect(outbox.ms).toBeGreaterThan(0);
      await log.takeOutbox("test");
      await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: total });
    }
    if (got.length === total) break;
  }
  expect(got).toEqual(made.map(({ id }) => id));
});
