import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  AppendCancelled,
  type Appended,
  type CimClient,
  connectCim,
  EventRejected,
  StoreUnavailable,
  VersionConflict,
} from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { EncodedHeaders } from "../../shared/nats/raw-message.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { eventsStream, outboxStream, refusedStream } from "../../shared/nats/streams.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
const event = { domain: "person", aggregate: "ada", type: "PersonCreated", data: { name: "Ada" } };

let server: TestNatsServer;
let nc: NatsConnection;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: 8 * MiB }));
});

afterEach(async () => {
  await nc.close();
  await server[Symbol.asyncDispose]();
});

async function stored(): Promise<{ seq: number; subject: string; id: string }[]> {
  const { last_seq, messages } = await streamState(nc, STREAM.outbox);
  if (messages === 0) return [];
  await using reader = await new StreamReader({ nc, stream: STREAM.outbox, startSeq: 1 }).start();
  const all: { seq: number; subject: string; id: string }[] = [];
  while (all.at(-1)?.seq !== last_seq) {
    for (const { seq, subject, headerText } of await reader.next())
      all.push({ seq, subject, id: headerValue(headerText, "Nats-Msg-Id") ?? "" });
  }
  return all;
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test("an expectation is judged over all types of the aggregate, and nothing else", async () => {
  await using cim = await connectCim({ url: server.url });
  const created = await cim.append({ ...event, expect: "none" });
  await cim.append({ ...event, aggregate: "adamant" });
  await cim.append({ ...event, aggregate: "bob", expect: "none" });
  const moved = await cim.append({ ...event, type: "PersonMoved", expect: created });
  const conflict = await failureOf(cim.append({ ...event, type: "PersonRenamed", expect: created }));
  expect(conflict).toBeInstanceOf(VersionConflict);
  expect(conflict).toMatchObject({
    aggregate: "person.ada",
    expected: created.seq,
    actual: moved.seq,
    message: `person.ada on test is at ${moved.seq}, not at ${created.seq}: nothing was stored; read it again and decide again`,
  });
  expect(await failureOf(cim.append({ ...event, expect: "none" }))).toMatchObject({
    expected: "none",
    actual: moved.seq,
  });
  expect(
    await failureOf(cim.append({ ...event, aggregate: "eve", expect: { node: "test", seq: 2 } })),
  ).toMatchObject({ expected: 2, actual: "none" });
  // A whole batch fails with its expectation.
  const batch = [
    { ...event, aggregate: "carl" },
    { ...event, type: "PersonRenamed", expect: created },
  ];
  await expect(cim.appendBatch(batch)).rejects.toBeInstanceOf(VersionConflict);
  expect(await stored()).toHaveLength(4);
  const domain = await cim.append({ domain: "person", type: "PersonsCounted", expect: "none" });
  await cim.append({ domain: "person", type: "PersonsSorted", expect: domain });
  // Sent again after it was stored: the same event, not a conflict with itself.
  const again = { ...event, type: "PersonMoved", id: "moved-2", expect: moved };
  const once = await cim.append(again);
  expect(await cim.append(again)).toEqual({ ...once, duplicate: true });
  await cim.append({ ...event, type: "PersonRenamed", expect: once });
  expect(await cim.append(again)).toEqual({ ...once, duplicate: true });
});

test.each([0, 20])(
  "one who is late with a version does not spoil it for who is not, beside %i others",
  async (n) => {
    await using cim = await connectCim({ url: server.url });
    const created = await cim.append({ ...event, expect: "none" });
    const moved = await cim.append({ ...event, type: "PersonMoved", expect: created });
    const others = Array.from({ length: n }, (_, at) => cim.append({ ...event, aggregate: `other-${at}` }));
    const late = cim.append({ ...event, type: "Late", expect: created }).catch((error: unknown) => error);
    const first = cim.append({ ...event, type: "First", expect: moved });
    const second = cim.append({ ...event, type: "Second", expect: moved }).catch((error: unknown) => error);
    const repeat = cim.append({ ...event, type: "Late", expect: created, id: moved.id });
    await Promise.all(others);
    const { seq } = await first;
    expect(await late).toMatchObject({ name: "VersionConflict", expected: created.seq });
    expect(await second).toMatchObject({ name: "VersionConflict", expected: moved.seq, actual: seq });
    expect(await repeat).toMatchObject({ duplicate: true, seq: moved.seq });
  },
);

test("what expects a version and is appended again is found, also when its id is no longer recognised", async () => {
  const { config } = await jetStreamApi<{ config: object }>(nc, `STREAM.INFO.${STREAM.outbox}`, undefined);
  const forgetsIds = { ...config, duplicate_window: 100_000_000 };
  await jetStreamApi(nc, `STREAM.UPDATE.${STREAM.outbox}`, forgetsIds);
  await using cim = await connectCim({ url: server.url });
  const single = { ...event, id: "single", expect: "none" as const };
  const batch = [
    { ...event, aggregate: "bob", id: "bob-1", expect: "none" as const },
    { ...event, aggregate: "bob", id: "bob-2" },
    { ...event, aggregate: "eve", id: "eve-1", expect: "none" as const },
  ];
  const one = await cim.append(single);
  const three = await cim.appendBatch(batch);
  // Recognised no longer, as a plain append shows.
  const probe = { domain: "probe", type: "Probe", id: "probe" };
  await cim.append(probe);
  const again = async () => (await cim.append(probe)).duplicate ?? false;
  await expect.poll(again, { timeout: 60_000, interval: 200 }).toBe(false);
  const before = (await stored()).length;
  expect(await cim.append(single)).toEqual({ ...one, duplicate: true });
  expect(await cim.appendBatch(batch)).toEqual(three.map((event) => ({ ...event, duplicate: true })));
  expect(await stored()).toHaveLength(before);
});

test("an expectation of another node, or two of one aggregate in a batch, is refused before it is sent", async () => {
  await using cim = await connectCim({ url: server.url });
  const other = { node: "leaf9", seq: 3 };
  expect(await failureOf(cim.append({ ...event, expect: other }))).toMatchObject({
    name: "EventRejected",
    part: "expect",
    message: expect.stringMatching(/of "leaf9", and this is test/),
  });
  const two = [event, { ...event, type: "B", expect: "none" as const }];
  expect(await failureOf(cim.appendBatch(two))).toBeInstanceOf(EventRejected);
  expect(await stored()).toEqual([]);
});

test("of writers that race for one version exactly one wins, whatever else is in their groups", async () => {
  await using a = await connectCim({ url: server.url });
  await using b = await connectCim({ url: server.url });
  let version: Appended = await a.append({ ...event, expect: "none" });
  let innocents = 0;
  for (let round = 0; round < 60; round++) {
    const attempts = [a, b].flatMap((cim: CimClient, c) =>
      Array.from({ length: 12 }, (_, n) =>
        cim.append({ ...event, type: `By${c}x${n}`, expect: version }).catch((error: unknown) => error),
      ),
    );
    const others = [a, b].flatMap((cim) =>
      Array.from({ length: 20 }, (_, n) => cim.append({ ...event, aggregate: `p${round}-${n}` })),
    );
    innocents += (await Promise.all(others)).length;
    const results = await Promise.all(attempts);
    const winners = results.filter((one) => !(one instanceof Error)) as Appended[];
    expect(winners).toHaveLength(1);
    expect(results.filter((one) => one instanceof VersionConflict)).toHaveLength(23);
    version = winners[0] as Appended;
  }
  expect(await stored()).toHaveLength(1 + 60 + innocents);
});

test("a trimmed outbox: a copy that surely has the rest tells, and without one nothing is guessed", async () => {
  await using cim = await connectCim({ url: server.url });
  const first = await cim.append(event);
  const oldest = await cim.append({ ...event, type: "Counted", aggregate: "other" });
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: oldest.seq });
  const nothingIsKnown = async () => {
    expect(await failureOf(cim.append({ ...event, expect: first }))).toMatchObject({ actual: "unknown" });
    expect(await failureOf(cim.append({ ...event, expect: "none" }))).toMatchObject({ actual: "unknown" });
    expect(await cim.find("nobody's", event)).toMatchObject({
      found: false,
      complete: false,
      from: oldest.seq,
    });
  };
  await nothingIsKnown();

  await ensureStream(nc, eventsStream({ maxBytes: null }));
  const log = (subject: string, origin: string, id: string, timeUs = 1) =>
    nc.request(`cim.log.${subject}`, "{}", {
      timeout: 20_000,
      headers: new EncodedHeaders(`Cim-Origin: ${origin}\r\nCim-Id: ${id}\r\nCim-Time: ${timeUs} 1\r\n`),
    });
  const follow = (live: string[]) =>
    nc.request("cim.log._cim.copy", JSON.stringify({ live, at: null, filling: null }), {
      timeout: 20_000,
    });
  await log("person.ada.PersonCreated", "test 1 e 1", first.id);
  expect(await cim.find(first.id, event)).toEqual({ found: true, node: "test", seq: 1 });
  // It is behind: what came after that event, and was trimmed, may be missing. Another outbox's number is no proof.
  await nothingIsKnown();
  await log("person.other.Counted", `test 1 e ${oldest.seq}`, "an older outbox's");
  await nothingIsKnown();
  const { timeUs = 0 } = (await getMessage(nc, STREAM.outbox, { seq: oldest.seq })) ?? {};
  await log("person.other.Counted", `test 1 e ${oldest.seq}`, oldest.id, timeUs);
  await log("person.other.Counted", "elsewhere 1 e 77", "another node's");
  await follow(["person"]);
  await nothingIsKnown();
  await follow(["*"]);
  await log("person.ada.PersonCreated", "elsewhere 1 e 78", "foreign");
  expect(await failureOf(cim.append({ ...event, expect: "none" }))).toMatchObject({ actual: 1 });
  expect(await cim.find("foreign", event)).toMatchObject({ found: false, complete: true, from: 1 });
  // Once something was refused, that is where it may be.
  await nc.request("cim.log._cim.refused", "{}", { timeout: 20_000 });
  expect(await cim.find("gone", event)).toMatchObject({ found: false, complete: false });
  await ensureStream(nc, refusedStream());
  const headers = new EncodedHeaders("Cim-Origin: test 1 e 1\r\nCim-Id: refused\r\n");
  await nc.request("cim.refused.too-large.person.ada.PersonCreated.1.1", "{}", { headers, timeout: 20_000 });
  expect(await cim.find("refused", event)).toEqual({ found: true, node: "test", seq: 1, refused: true });
  expect(await cim.find("gone", event)).toMatchObject({ found: false, complete: true });
  const next = await cim.append({ ...event, type: "PersonMoved", expect: first });
  expect(await failureOf(cim.append({ ...event, expect: first }))).toMatchObject({ actual: next.seq });
  await cim.append({ ...event, aggregate: "new", expect: "none" });
});

test("a call that is given up before it was sent is not stored; after, it says that it does not know", async () => {
  await using cim = await connectCim({ url: server.url, timeoutMs: 4_000 });
  await expect(cim.append(event, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: "AppendCancelled",
    outcome: "not-stored",
  });
  server.pause();
  try {
    const sent = failureOf(cim.append({ ...event, id: "sent" }, { timeoutMs: 1_000 }));
    const stop = new AbortController();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const waiting = failureOf(cim.append({ ...event, id: "waiting" }, { signal: stop.signal }));
    stop.abort();
    expect(await waiting).toMatchObject({ outcome: "not-stored" });
    expect(await sent).toBeInstanceOf(AppendCancelled);
    expect(await sent).toMatchObject({
      outcome: "unknown",
      message: expect.stringMatching(/its time is over/),
    });
  } finally {
    server.resume();
  }
  await eventually(() => cim.append(event));
  expect((await stored()).map(({ id }) => id)).not.toContain("waiting");
  expect(await cim.find("waiting", event)).toMatchObject({ found: false, complete: true });
  expect(await cim.find("sent", event)).toMatchObject({
    found: (await stored()).some(({ id }) => id === "sent"),
  });
});

test("after a kill in the middle of writes, what is found of each unknown is the truth", async () => {
  await using cim = await connectCim({ url: server.url, timeoutMs: 2_000 });
  const results: { id: string; outcome: unknown }[] = [];
  let killed = false;
  const write = async (writer: number) => {
    for (let n = 0; ; n++) {
      const id = `w${writer}-${n}`;
      const outcome = await cim
        .append({ ...event, aggregate: `w${writer}`, id })
        .catch((error: unknown) => error);
      results.push({ id, outcome });
      if (killed && outcome instanceof Error) return;
    }
  };
  const writers = Promise.all(Array.from({ length: 64 }, (_, w) => write(w)));
  await eventually(() => results.length > 500);
  killed = true;
  await server.kill();
  await writers;
  await server.restart();
  await eventually(() => streamState(nc, STREAM.outbox));
  const unknown = results.filter(
    ({ outcome }) => outcome instanceof StoreUnavailable && outcome.outcome === "unknown",
  );
  await eventually(() => cim.append({ ...event, id: "back" }));
  const truth = await stored();
  const ids = truth.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { id, outcome } of results) {
    if (!(outcome instanceof Error)) expect(ids).toContain(id);
    else if (outcome instanceof StoreUnavailable && outcome.outcome === "not-stored")
      expect(ids).not.toContain(id);
  }
  expect(unknown.length).toBeGreaterThan(0);
  for (const { id } of unknown)
    expect((await cim.find(id, { domain: "person" })).found).toBe(ids.includes(id));
});

test("1 MiB passes, 8 MiB is refused with the limit named", async () => {
  await using cim = await connectCim({ url: server.url });
  await cim.append({ ...event, data: new Uint8Array(1_000_000) });
  expect(await failureOf(cim.append({ ...event, data: new Uint8Array(8 * MiB) }))).toMatchObject({
    name: "EventRejected",
    limit: { max: expect.any(Number), actual: expect.any(Number) },
  });
});

test("a client says when the node is newer, or older than it needs, and works with one from before versions were told", async () => {
  const { config } = await jetStreamApi<{ config: { metadata: Record<string, string> } }>(
    nc,
    `STREAM.INFO.${STREAM.outbox}`,
    undefined,
  );
  expect(config.metadata["cim.protocol"]).toBe("1");
  const speaks = (metadata: Record<string, string>) =>
    jetStreamApi(nc, `STREAM.UPDATE.${STREAM.outbox}`, { ...config, metadata });
  await speaks({ "cim.protocol": "2" });
  await expect(connectCim({ url: server.url })).rejects.toMatchObject({
    name: "ClientTooOld",
    message: "test speaks cim's protocol 2, this client up to 1: upgrade the package cim of this program",
  });
  await speaks({ "cim.protocol": "0" });
  await expect(connectCim({ url: server.url })).rejects.toMatchObject({
    name: "NodeTooOld",
    message:
      "test speaks cim's protocol 0, this client needs 1 or newer: upgrade cim-agent (cim-coordinator on a hub) there",
  });
  await speaks({});
  await using cim = await connectCim({ url: server.url });
  await cim.append(event);
  expect(await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: 8 * MiB }))).toMatchObject({
    outcome: "updated",
    changed: ["metadata"],
  });
});
