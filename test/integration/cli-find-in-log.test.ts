import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { logState, seqAt } from "../../cli/find-in-log.ts";
import { followLog } from "../../cli/follow-log.ts";
import { type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ConnectionWatch } from "../../shared/nats/connection-watch.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { eventsStream } from "../../shared/nats/streams.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { controlRecordPublishSubject } from "../../shared/protocol/subjects.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

let server: TestNatsServer;
let nc: NatsConnection;
const startMs = Date.UTC(2026, 10, 24);

/** Index 10 is the first; every fifth message is a control record, which has no time; one event per second. */
function message(index: number): OutgoingMessage {
  const log = headerLine(HEADER.log, `1-a.${index}`);
  const body = Buffer.from(String(index));
  if (index % 5 === 0) return { subject: controlRecordPublishSubject("marks"), headerText: log, body };
  const atUs = (startMs + index * 1000) * 1000;
  return { subject: "cim.log.person.ada.X", headerText: log + headerLine(HEADER.time, `7 ${atUs}`), body };
}

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
});

afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});

test("a place is found among deleted messages and control records, and beyond the ends", async () => {
  await expect(logState(nc, "leaf1")).rejects.toThrow(/^leaf1 keeps no copy of the log [^\n]*$/);
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  const empty = await logState(nc, "leaf1");
  expect(await seqAt(nc, empty, { kind: "index", index: 5 })).toBe(1);

  const indexes = Array.from({ length: 60 }, (_, i) => 10 + i);
  await writeGuarded(nc, indexes.map(message), {});
  const gone = new Set([1, 2, 3, 14, 15, 16, 17, 18, 19, 20, 21, 30, 59, 60]);
  for (const seq of gone) await jetStreamApi(nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq });
  const state = await logState(nc, "leaf1");
  const left = indexes.map((index, i) => ({ index, seq: i + 1 })).filter(({ seq }) => !gone.has(seq));
  const reading = async (seq: number, wanted: (index: number) => boolean) =>
    left.find((one) => one.seq >= seq && wanted(one.index))?.index;

  for (let index = 0; index < 80; index++) {
    const found = await seqAt(nc, state, { kind: "index", index });
    expect(await reading(found, () => true), `index ${index}`).toBe(
      left.find((one) => one.index >= index)?.index,
    );
    const seqByTime = await seqAt(nc, state, { kind: "time", atMs: startMs + index * 1000 });
    const isEvent = (one: number) => one % 5 !== 0;
    expect(await reading(seqByTime, isEvent), `time ${index}`).toBe(
      left.find((one) => one.index >= index && isEvent(one.index))?.index,
    );
  }
  expect(await seqAt(nc, state, { kind: "end" })).toBe(61);
  expect(await seqAt(nc, state, { kind: "start" })).toBe(4);
});

test("who follows the log from a number beyond its end is told so, and shown what comes from there on", async () => {
  const ended = new AbortController();
  const node = { nc, node: "leaf1", url: server.url, watch: new ConnectionWatch(nc), ...NEVER_CLOSED };
  const follow = async () => {
    const shown: (number | undefined)[] = [];
    const notices: string[] = [];
    let written: Promise<unknown> | undefined;
    const onNotice = (line: string) => {
      notices.push(line);
      written = writeGuarded(nc, [message(101), message(102), message(103)], {});
    };
    const from = { kind: "index", index: 102 } as const;
    const filters = ["cim.events.>"];
    for await (const event of followLog({ node, filters, from, signal: ended.signal, onNotice })) {
      shown.push(event.index);
      if (event.index === 103) break;
    }
    await written;
    return { shown, notices };
  };
  // The newest two of the test before were deleted: 67 is the last that is left.
  expect(await follow()).toEqual({
    shown: [102, 103],
    notices: ["the log on leaf1 has nothing from 102 on yet, its newest is 67; waiting for it"],
  });
  expect(await follow()).toEqual({ shown: [102, 103], notices: [] });
  ended.abort();
});

const NEVER_CLOSED = { [Symbol.asyncDispose]: async () => {} };
