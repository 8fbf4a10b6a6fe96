import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CimClient, connectCim } from "../../shared/client/connect-cim.ts";
import { writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { controlRecordPublishSubject } from "../../shared/protocol/subjects.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

let server: TestNatsServer;
let nc: NatsConnection;
let cim: CimClient;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  cim = await connectCim({ url: server.url });
});

afterEach(async () => {
  await cim.close();
  await nc.close();
  await server[Symbol.asyncDispose]();
});

const append = async (from: number, to: number) => {
  for (let n = from; n <= to; n++)
    await cim.append({ domain: "secret", aggregate: `p${n}`, type: "Made", data: { n }, id: `own-${n}` });
};

async function read(count: number, from: string): Promise<{ ids: string[]; checkpoint: string }> {
  const ids: string[] = [];
  let checkpoint = "";
  for await (const event of cim.subscribe({ from, signal: AbortSignal.timeout(60_000) })) {
    ids.push(event.id);
    checkpoint = event.checkpoint;
    if (ids.length === count) break;
  }
  return { ids, checkpoint };
}

test("own events that were trimmed unread on a node without a copy are refused by name", async () => {
  await append(1, 6);
  const { checkpoint } = await read(2, "start");
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 5 });
  await expect(read(1, checkpoint)).rejects.toMatchObject({ name: "EventsGone" });
});

test("own events that were trimmed unread of a domain that the copy does not have are refused by name", async () => {
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  const log = new LogByHand(nc);
  await log.reign(1, "aa");
  const body = Buffer.from(JSON.stringify({ live: ["person"], at: null, filling: null }));
  const record = { subject: controlRecordPublishSubject("copy"), headerText: "", body };
  expect(await writeGuarded(nc, [record], { lastSeq: 1 })).toMatchObject({ kind: "stored" });
  await append(1, 6);
  const { checkpoint } = await read(2, "start");
  await log.others("leaf2", 1, 1);
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 5 });
  await expect(read(2, checkpoint)).rejects.toMatchObject({ name: "EventsGone" });
});

test("a log that comes to be after the reader began is read", async () => {
  await append(1, 1);
  const reading = read(2, "start");
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  const log = new LogByHand(nc);
  await log.reign(1, "aa");
  await log.others("leaf2", 1, 1);
  expect((await reading).ids).toEqual(["own-1", "leaf2-1"]);
});
