import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { type EncodedEvent, encodeEvent } from "../../shared/client/event-to-append.ts";
import { OutboxWriter } from "../../shared/client/outbox-writer.ts";
import { writeUnits } from "../../shared/client/write-events.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { startNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;

test.each([
  ["recognised", 90_000, [{ seq: 1 }]],
  ["no longer recognised", 0, undefined],
])("what was on its way when the server died, with an id that is %s", async (_, recognisedMs, stored) => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: MiB, maxPayload: MiB }));
  const writer = new OutboxWriter({ nc, node: "test", url: server.url, timeoutMs: 60_000, recognisedMs });
  const event = encodeEvent({ domain: "d", type: "T" }, { eventBytes: MiB, node: "test" });
  server.pause();
  const writing = writer.write([[event]]);
  await nextTurn();
  await server.kill();
  await server.restart();
  const { settled, failRest } = await writing;
  expect(failRest).toBe(undefined);
  if (stored) expect(settled[0]).toEqual(stored);
  else
    expect(settled[0]).toMatchObject({
      name: "StoreUnavailable",
      outcome: "unknown",
      eventIds: [event.identity.id],
    });
  await nc.close();
});

test("what the store does not take is not overtaken by what was appended after it", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  // A stream that takes no batches: a store that fails a caller of several events and would take the next one's.
  const config = outboxStream({ maxBytes: MiB, maxPayload: MiB });
  await ensureStream(nc, { ...config, allow_atomic: false });
  const events = [1, 2, 3].map(() =>
    encodeEvent({ domain: "d", type: "T" }, { eventBytes: MiB, node: "test" }),
  );
  const [a, b, c] = events as [EncodedEvent, EncodedEvent, EncodedEvent];
  const outcomes = await writeUnits({ nc, node: "test", timeoutMs: 30_000 }, [[a, b], [c]]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(["not-stored", "not-stored"]);
  const { state } = await jetStreamApi<{ state: { messages: number } }>(
    nc,
    "STREAM.INFO.CIM_OUTBOX",
    undefined,
  );
  expect(state.messages).toBe(0);
  await nc.close();
});
