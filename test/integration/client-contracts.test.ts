import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectCim, EventRejected, StoreUnavailable } from "../../shared/client/connect-cim.ts";
import { contractsFrom } from "../../shared/consistency/contract/declared-contracts.ts";
import { CONTRACTS_METADATA } from "../../shared/consistency/contract/published-contracts.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
let server: TestNatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
});
afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});

const usual = { mode: "eventual", conflictResolution: "last-write-wins" } as const;
const contracts = contractsFrom(
  usual,
  { stock: { resolver: "crdt", fields: { count: "counter", tags: "set" } } },
  () => "",
);
const limits = { maxBytes: 64 * MiB, maxPayload: MiB };

test("data that is not what its domain's contract says is refused before anything is stored", async () => {
  await ensureStream(nc, outboxStream({ ...limits, contracts }));
  await using cim = await connectCim({ url: server.url });
  const stock = { domain: "stock", aggregate: "a1", type: "Counted" };
  await cim.append({ ...stock, data: { count: 2, tags: { add: ["x"] }, note: "any" } });
  await cim.append({ ...stock, data: null });
  await cim.append(stock);
  // Left out when it is written as JSON.
  await cim.append({ ...stock, data: { count: undefined, note: "x" } });
  for (const data of [{ count: "2" }, { tags: ["x"] }, 7, Buffer.from("no JSON")]) {
    const refused: unknown = await cim.append({ ...stock, data }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EventRejected);
    expect(refused).toMatchObject({
      part: "data",
      message: expect.stringMatching(/^data: .*\(the contract of stock on test\)$/),
    });
  }
  const batch = [
    { ...stock, data: { count: 1 } },
    { ...stock, data: { count: 0.5 } },
  ];
  await expect(cim.appendBatch(batch)).rejects.toThrow(/^data: count is a counter/);
  // Of another domain any data is right.
  await cim.append({ ...stock, domain: "person", data: { count: "2" } });
  expect((await streamState(nc, STREAM.outbox)).messages).toBe(5);
});

test("a node whose contracts are not understood is not written to", async () => {
  const stream = outboxStream({ ...limits, contracts });
  await ensureStream(nc, { ...stream, metadata: { ...stream.metadata, [CONTRACTS_METADATA]: '{"v":2}' } });
  const refused: unknown = await connectCim({ url: server.url }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreUnavailable);
  expect(String(refused)).toMatch(/cim\.contracts.*upgrade the package cim/);
});
