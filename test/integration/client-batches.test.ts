import { afterAll, beforeAll, expect, test } from "vitest";
import { type Batch, type CimClient, connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream, readersStream } from "../../shared/nats/streams.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

let server: TestNatsServer;
let cim: CimClient;

beforeAll(async () => {
  server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 256 * 1024 ** 2, maxPayload: 8 * 1024 ** 2 }));
  await ensureStream(nc, readersStream());
  await nc.close();
  cim = await connectCim({ url: server.url });
});

afterAll(async () => {
  await cim?.close();
  await server?.[Symbol.asyncDispose]();
});

const append = (domain: string, from: number, to: number, data: unknown = {}) =>
  Promise.all(
    Array.from({ length: to - from + 1 }, (_, i) =>
      cim.append({ domain, aggregate: "a", type: "Made", data, id: `${domain}-${from + i}` }),
    ),
  );
const ids = (batch: Batch) => batch.events.map(({ id }) => id);
const numbered = (domain: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${domain}-${from + i}`);
const signal = () => AbortSignal.timeout(60_000);

test("events come in order in batches that are full, or as old as they may be; one checkpoint goes on behind each", async () => {
  await append("many", 1, 25);
  const reader = cim.subscribe({ domain: "many", from: "start", signal: signal() });
  const batches: Batch[] = [];
  let seen = 0;
  for await (const batch of reader.batches({ max: 10, waitMs: 60_000 })) {
    batches.push(batch);
    seen += batch.events.length;
    // It would wait for a minute.
    if (seen === 20) await append("many", 26, 30);
    if (seen === 30) break;
  }
  expect(batches.map(({ events }) => events.length)).toEqual([10, 10, 10]);
  expect(batches.flatMap(ids)).toEqual(numbered("many", 1, 30));
  const from = (batches[1] as Batch).checkpoint;
  const again = cim.subscribe({ domain: "many", from, signal: signal() });
  for await (const batch of again.batches({ max: 1 })) {
    expect(ids(batch)).toEqual(["many-21"]);
    break;
  }
  // Less than `max`, when no more comes in time.
  const short = cim.subscribe({ domain: "many", from, signal: signal() });
  let got: string[] = [];
  for await (const batch of short.batches({ max: 100, waitMs: 0 })) {
    got = [...got, ...ids(batch)];
    if (got.length === 10) break;
  }
  expect(got).toEqual(numbered("many", 21, 30));
  expect(() => short.batches({ max: 0 })).toThrow(
    /^max: 0 is no number of events; write a whole number from 1$/,
  );
});

test("a durable name saves a batch whole, and what was looked at ahead comes again", async () => {
  await append("named", 1, 12);
  const read = async (saves: boolean) => {
    const reader = cim.subscribe({ durable: "by-batch", domain: "named", signal: signal() });
    for await (const batch of reader.batches({ max: 5, waitMs: 60_000 })) {
      if (saves) await reader.save(batch);
      return ids(batch);
    }
    return [];
  };
  expect(await read(true)).toEqual(numbered("named", 1, 5));
  expect(await read(false)).toEqual(numbered("named", 6, 10));
  expect(await read(true)).toEqual(numbered("named", 6, 10));
});

test("a batch holds some 8 MiB at most", async () => {
  await append("large", 1, 20, { text: "x".repeat(900 * 1024) });
  const reader = cim.subscribe({ domain: "large", from: "start", signal: signal() });
  const sizes: number[] = [];
  for await (const { events } of reader.batches({ max: 20, waitMs: 60_000 })) {
    sizes.push(events.length);
    if (sizes.length === 2) break;
  }
  expect(sizes).toEqual([10, 10]);
});
