import { expect, test } from "vitest";
import { OutboxKeeper } from "../../agent/outbox/outbox-keeper.ts";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream, readersStream } from "../../shared/nats/streams.ts";
import { createLog } from "../../shared/observe/log.ts";
import { startNatsServer } from "../support/nats-server.ts";

const MiB = 1024 ** 2;

test("an outbox that has its events alone keeps what durable names have yet to read, up to half of its room", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: MiB }));
  await ensureStream(nc, readersStream());
  await using cim = await connectCim({ url: server.url });
  for (let n = 1; n <= 9; n++)
    await cim.append({ domain: n === 4 ? "orders" : "person", aggregate: "a", type: "Made", data: { n } });
  const read = async (durable: string, domain: string, count: number) => {
    const reader = cim.subscribe({ durable, domain, signal: AbortSignal.timeout(60_000) });
    let n = 0;
    for await (const event of reader) {
      await reader.save(event);
      if (++n === count) break;
    }
  };
  await using outbox = new OutboxKeeper({
    nc,
    node: "test",
    limits: { maxBytes: 64 * MiB, retentionFloorMs: 0 },
    waitsForCopy: false,
    waitsForReaders: true,
    log: createLog({ name: "test", level: "silent", node: "test" }),
  });
  const firstAfterTrim = async () => {
    await outbox.trim();
    return (await outbox.state()).first;
  };
  outbox.confirmed(9);
  // `slow` has 1 and 2 of persons, `rare` waits for an order that comes before.
  await read("slow", "person", 2);
  expect(await firstAfterTrim()).toBe(3);
  await read("rare", "orders", 1);
  expect(await firstAfterTrim()).toBe(3);
  await read("slow", "person", 2);
  expect(await firstAfterTrim()).toBe(6);
  // No copy is waited for, nor a reader, where there is less room left than they may take.
  outbox.limits = { maxBytes: 1000, retentionFloorMs: 0 };
  expect(await firstAfterTrim()).toBe(9);
  await nc.close();
});
