import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const MESSAGES = 24;
const SILENCE_MS = 10_000;

let server: TestNatsServer;
let nc: NatsConnection;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 1024 * 1024, maxPayload: 1024 * 1024 }));
  for (let n = 0; n < MESSAGES; n++)
    await nc.request("cim.events.person.Renamed", "a name", { timeout: 20_000 });
});

afterEach(async () => {
  await nc.close();
  await server[Symbol.asyncDispose]();
});

async function readAll(bufferBytes: number): Promise<number> {
  const init = { nc, stream: STREAM.outbox, startSeq: 1, bufferBytes, silenceMs: SILENCE_MS };
  await using reader = await new StreamReader(init).start();
  let read = 0;
  while (read < MESSAGES) read += (await reader.next()).length;
  return read;
}

test("reads on whatever a pull's bytes end with, also with exactly the last of them", async () => {
  // A message takes some 130 bytes, so one of these sizes is a whole number of messages, and the pull ends with it.
  for (let bufferBytes = 1000; bufferBytes < 1160; bufferBytes++) {
    await expect(readAll(bufferBytes), `${bufferBytes} bytes`).resolves.toBe(MESSAGES);
  }
});

test("a message larger than the whole buffer is read all the same", async () => {
  await expect(readAll(20)).resolves.toBe(MESSAGES);
});
