import { setImmediate as nextTurn } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { type EncodedEvent, encodeEvent } from "../../shared/client/event-to-append.ts";
import { OutboxWriter } from "../../shared/client/outbox-writer.ts";
import { writeUnits } from "../../shared/client/write-events.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { STREAM } from "../../shared/protocol/names.ts";
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

async function ids(nc: NatsConnection): Promise<string[]> {
  const { last_seq } = await streamState(nc, STREAM.outbox);
  await using reader = await new StreamReader({ nc, stream: STREAM.outbox, startSeq: 1 }).start();
  const all: string[] = [];
  while (all.length < last_seq)
    for (const { headerText } of await reader.next()) all.push(headerValue(headerText, "Nats-Msg-Id") ?? "");
  return all;
}

test("what nobody takes yet is not overtaken by what was appended after it", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  const config = outboxStream({ maxBytes: MiB, maxPayload: MiB });
  // As in the moment in which a server that starts begins to take events: the first of a burst was too early.
  await ensureStream(nc, { ...config, subjects: ["cim.events.late.>"] });
  const four = ["early", "late", "late", "late"].map((domain, n) => ({ domain, type: "T", id: `${n}` }));
  const units = four.map((one) => [encodeEvent(one, { eventBytes: MiB, node: "test" })]);
  const outcomes = await writeUnits({ nc, node: "test", timeoutMs: 30_000 }, units);
  const again = { kind: "not-stored", again: true };
  expect(outcomes).toEqual(four.map(() => expect.objectContaining(again)));
  expect(await ids(nc)).toEqual([]);
  await using cim = await connectCim({ url: server.url, timeoutMs: 60_000 });
  const appends = four.map((one) => cim.append(one));
  await jetStreamApi(nc, `STREAM.UPDATE.${STREAM.outbox}`, config);
  expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  expect(await ids(nc)).toEqual(["0", "1", "2", "3"]);
  await nc.close();
});

test("of clients that append a few at once, each keeps its order beside the others, and nothing is there twice", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: MiB }));
  const write = async (who: string) => {
    await using cim = await connectCim({ url: server.url });
    const written: string[] = [];
    for (let round = 0; round < 30; round++) {
      const five = [0, 1, 2, 3, 4].map((n) => `${who}-${round}-${n}`);
      written.push(...five);
      await Promise.all(five.map((one) => cim.append({ domain: "d", type: "T", id: one })));
    }
    return written;
  };
  const all = await Promise.all(["a", "b", "c"].map(write));
  const found = await ids(nc);
  for (const written of all) expect(found.filter((one) => one[0] === written[0]?.[0])).toEqual(written);
  expect(found).toHaveLength(3 * 150);
  await nc.close();
});
