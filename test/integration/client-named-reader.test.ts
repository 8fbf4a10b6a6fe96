import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readerNeeds } from "../../agent/outbox/reader-needs.ts";
import {
  CheckpointInvalid,
  type CimClient,
  type CimEvent,
  connectCim,
  type NamedReaderOptions,
  ReaderAhead,
  ReaderTaken,
  StoreUnavailable,
} from "../../shared/client/connect-cim.ts";
import { decodeCheckpoint, encodeCheckpoint, NOWHERE } from "../../shared/client/reader/checkpoint.ts";
import { KeptCheckpoint } from "../../shared/client/reader/kept-checkpoint.ts";
import { knownReaders } from "../../shared/client/reader/known-readers.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { eventsStream, outboxStream, readersStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { cim as cimCommand } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const PROGRAM = fileURLToPath(new URL("../support/named-process.ts", import.meta.url));

let server: TestNatsServer;
let nc: NatsConnection;
let cim: CimClient;
let log: LogByHand;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  await ensureStream(nc, readersStream());
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
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `own-${from + i}`);

/** Reads so many under a name, and saves the one at `saved` (from 1; 0: none). */
async function read(count: number, saved: number, options: Partial<NamedReaderOptions> = {}) {
  const events: CimEvent[] = [];
  const signal = AbortSignal.timeout(60_000);
  const reader = cim.subscribe({ durable: "billing", ...options, signal });
  for await (const event of reader) {
    events.push(event);
    if (events.length === saved) await reader.save(event);
    if (events.length === count) break;
  }
  return events.map(({ id }) => id);
}

test("a name goes on behind what was saved, here and in other processes, over kill -9 and restarts", async () => {
  await using dir = await tempDir("cim-named-");
  const file = join(dir.path, "handled");
  const handled = async () => (await readFile(file, "utf8").catch(() => "")).split("\n").filter(Boolean);
  const last = 60;
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [PROGRAM, server.url, "billing", file], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exited = once(child, "exit");
    await append(round * 20 + 1, round * 20 + 10);
    if (round === 1) {
      await server.kill("SIGKILL");
      await server.restart();
      await eventually(() => cim.append({ domain: "x", aggregate: "x", type: "Back", id: "back" }));
    }
    await append(round * 20 + 11, round * 20 + 20);
    const wanted = `own-${round < 2 ? round * 20 + 7 : last}`;
    await eventually(async () => (await handled()).includes(wanted), { what: `${wanted} handled` });
    child.kill("SIGKILL");
    await exited;
  }
  const ids = (await handled()).filter((id) => id !== "back");
  const firsts = [...new Set(ids)];
  expect(firsts).toEqual(numbered(1, last));
  // At least once: at each kill no more than the event that was being handled comes again.
  expect(ids.length - firsts.length).toBeLessThanOrEqual(2);
});

test("what was not saved comes again; the checkpoint never goes back", async () => {
  await append(1, 6);
  expect(await read(4, 2)).toEqual(numbered(1, 4));
  expect(await read(2, 2)).toEqual(numbered(3, 4));
  expect(await read(1, 0, { from: "now" })).toEqual(["own-5"]);
  const reader = cim.subscribe({ durable: "billing" });
  const events: CimEvent[] = [];
  for await (const event of reader) {
    events.push(event);
    if (events.length === 2) break;
  }
  const before = (await streamState(nc, STREAM.readers)).last_seq;
  await Promise.all(events.map((event) => reader.save(event)));
  await reader.save(events[0] as CimEvent);
  // Two saves that overlap are one write, or two; one of an earlier event is none.
  expect((await streamState(nc, STREAM.readers)).last_seq - before).toBeLessThanOrEqual(2);
  await append(7, 7);
  expect(await read(1, 1)).toEqual(["own-7"]);
  await expect(reader.save(await firstOf({ from: "start" }))).rejects.toThrow(
    /^save: the event is not of the loop/,
  );
});

async function firstOf(options: { from: "start" }): Promise<CimEvent> {
  for await (const event of cim.subscribe(options)) return event;
  throw new Error("there is none");
}

test("who begins under a name has it: the one before can neither save nor move the checkpoint", async () => {
  await append(1, 4);
  const oldReader = cim.subscribe({ durable: "billing" });
  const oldLoop = oldReader[Symbol.asyncIterator]();
  const first = (await oldLoop.next()).value as CimEvent;
  await oldReader.save(first);
  const second = (await oldLoop.next()).value as CimEvent;
  expect(await read(3, 3)).toEqual(numbered(2, 4));
  await expect(oldReader.save(second)).rejects.toThrow(ReaderTaken);
  await expect(oldReader.save(second)).rejects.toThrow(/^billing on test is read by another process since/);
  await expect(oldLoop.next()).rejects.toThrow(ReaderTaken);
  await append(5, 5);
  expect(await read(1, 1)).toEqual(["own-5"]);
});

test("a new name begins where it says, once and for all", async () => {
  await append(1, 3);
  await log.takeOutbox("test", 2);
  await log.others("leaf2", 1, 2);
  const stop = new AbortController();
  const reader = cim.subscribe({ durable: "billing", from: "now", signal: stop.signal });
  const waiting = reader[Symbol.asyncIterator]().next();
  // It was ended before anything came, and what comes then is for it.
  await eventually(async () => (await streamState(nc, STREAM.readers)).messages === 1);
  stop.abort();
  await waiting;
  await append(4, 4);
  await log.takeOutbox("test");
  await log.others("leaf2", 3, 3);
  expect((await read(2, 0, { from: "now" })).toSorted()).toEqual(["leaf2-3", "own-4"]);
});

test("reading other events under a name is told; a name that is none is refused at once", async () => {
  await append(1, 2);
  await read(1, 1, { domain: "person" });
  const notices: string[] = [];
  await read(1, 1, { onNotice: (line) => notices.push(line) });
  expect(notices).toContain(
    "billing read person.> until now, and everything from here on: earlier events that it did not read do not come",
  );
  expect(() => cim.subscribe({ durable: "a.b" })).toThrow(
    /^durable: "a.b" is no reader's name; write 1 to 63/,
  );
  await jetStreamApi(nc, `STREAM.DELETE.${STREAM.readers}`, undefined);
  await expect(read(1, 1)).rejects.toThrow(StoreUnavailable);
  await expect(read(1, 1)).rejects.toThrow(/it has no CIM_READERS, which a daemon of this build makes/);
});

test("a name comes along also where nothing matches it", async () => {
  await append(1, 1, "orders");
  const reader = cim.subscribe({ from: "start", domain: "orders" });
  const loop = reader[Symbol.asyncIterator]();
  const first = (await loop.next()).value as CimEvent;
  const next = loop.next();
  await append(2, 3);
  await log.takeOutbox("test");
  await log.marks();
  const rested = () => decodeCheckpoint(reader.rest?.checkpoint() ?? "");
  await eventually(() => rested().log !== decodeCheckpoint(first.checkpoint).log);
  const subject = "cim.readers.rare";
  const kept = new KeptCheckpoint({ nc, node: "test", name: "rare", subject, filter: { domain: "orders" } });
  await kept.claim(async () => first.checkpoint);
  const { rest } = reader;
  if (!rest) throw new Error("it rests");
  // Not before all that it stands behind is saved.
  await kept.progress(rest.events, rest.checkpoint);
  const shown = async () =>
    (await cimCommand(["readers", "show", "rare", "--server", server.url])).stdout.trim();
  expect(await shown()).toBe(first.checkpoint);
  await kept.save(1, () => first.checkpoint);
  await kept.progress(rest.events, rest.checkpoint);
  expect(await shown()).toBe(rest.checkpoint());
  reader.end();
  expect((await next).done).toBe(true);
});

test("cim readers lists, shows and forgets names", async () => {
  await append(1, 4);
  const run = async (...args: string[]) => await cimCommand(["readers", ...args, "--server", server.url]);
  expect((await run()).stdout).toBe("no reader has a durable name on test\n");
  await read(2, 2, { domain: "person" });
  await log.takeOutbox("test", 3);
  await read(1, 0, { durable: "shipping" });
  const listed = JSON.parse((await run("--json")).stdout);
  expect(listed.readers).toMatchObject([
    { name: "billing", filter: { domain: "person" }, ownSeq: 2, lag: { log: 3, outbox: 2 } },
    { name: "shipping", filter: {}, position: null, ownSeq: null, lag: { log: 3, outbox: 4 } },
  ]);
  const lines = (await run()).stdout.split("\n");
  expect(lines[0]).toMatch(/^NAME +READS +POSITION +OWN +LOG +OUTBOX +SAVED$/);
  expect(lines[1]).toMatch(/^billing +person\.> +\S+ +2 +3 +2 /);
  // Its checkpoint, carried to another name.
  const from = (await run("show", "billing")).stdout.trim();
  expect(await read(1, 0, { durable: "moved", from })).toEqual(["own-3"]);
  expect(await run("show", "none")).toMatchObject({
    code: 1,
    stderr: 'cim: there is no reader "none" on test; it has billing, moved, shipping\n',
  });
  const reader = cim.subscribe({ durable: "billing" });
  for await (const event of reader) {
    expect(event.id).toBe("own-3");
    expect((await run("rm", "billing")).stdout).toBe("billing is forgotten on test\n");
    await expect(reader.save(event)).rejects.toThrow(ReaderTaken);
    break;
  }
  expect((await run("show", "billing")).code).toBe(1);
  expect(await read(1, 1)).toEqual(["own-1"]);
});

test("a new name whose place can't be read yet says so as a reader without a name does, and is not taken", async () => {
  const from = encodeCheckpoint({ ...NOWHERE, log: "7-zz.9" });
  const ahead = cim.subscribe({ durable: "early", from, waitMs: 0 });
  await expect(ahead[Symbol.asyncIterator]().next()).rejects.toThrow(ReaderAhead);
  expect(await knownReaders(nc, "test")).toEqual([]);
});

test("a record that nobody can read by is no reader's, and does not hide the others", async () => {
  await append(1, 1);
  await read(1, 1);
  const odd = { kind: "reader", owner: "x", filter: { domain: "not one word" } };
  await nc.request("cim.readers.odd", JSON.stringify(odd));
  expect((await knownReaders(nc, "test")).map(({ name }) => name)).toEqual(["billing"]);
  expect(await readerNeeds(nc, "test")).toHaveLength(1);
});

test("a checkpoint of a newer build is refused before its name is taken, and does not hide the others", async () => {
  await append(1, 1);
  await read(1, 1);
  const newer = JSON.stringify({ kind: "reader", owner: "x", checkpoint: "cim2.abc", filter: {} });
  await nc.request("cim.readers.newer", newer);
  await expect(read(1, 0, { durable: "newer" })).rejects.toThrow(CheckpointInvalid);
  const found = await knownReaders(nc, "test");
  expect(found.map(({ name, ownSeq }) => ({ name, ownSeq }))).toEqual([
    { name: "billing", ownSeq: 1 },
    { name: "newer", ownSeq: undefined },
  ]);
  const kept = await jetStreamApi<{ message: { seq: number } }>(nc, "STREAM.MSG.GET.CIM_READERS", {
    last_by_subj: "cim.readers.newer",
  });
  expect(kept.message.seq).toBe((await streamState(nc, STREAM.readers)).last_seq);
});
