import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type CimClient,
  type CimEvent,
  connectCim,
  type GroupReader,
  ReaderDiffers,
  ReaderTaken,
} from "../../shared/client/connect-cim.ts";
import { parseReaderRecord } from "../../shared/client/reader/reader-record.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { outboxStream, readersStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { cim as cimCommand } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

const PROGRAM = fileURLToPath(new URL("../support/group-process.ts", import.meta.url));
const AGGREGATES = 24;
const PER_ROUND = 120;

let server: TestNatsServer;
let nc: NatsConnection;
let cim: CimClient;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  // All records are kept, to see afterwards who wrote.
  await ensureStream(nc, { ...readersStream(), max_msgs_per_subject: -1 });
  cim = await connectCim({ url: server.url });
});

afterEach(async () => {
  await cim.close();
  await nc.close();
  await server[Symbol.asyncDispose]();
});

let written = 0;
const append = async (count: number) => {
  const from = written;
  written += count;
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const n = from + i;
      return cim.append({
        domain: "orders",
        aggregate: `a${n % AGGREGATES}`,
        type: "Placed",
        data: {},
        id: `e-${n}`,
      });
    }),
  );
};
const numberOf = (id: string) => Number(id.split("-")[1]);

/** Nobody who lost a partition wrote to it again: each claim has a word of its own, and none comes back. */
async function expectNoFencedSave(): Promise<void> {
  const query = { seq: 1, next_by_subj: "cim.readers.billing.*" };
  const stored = await getMessages(nc, STREAM.readers, query, { inboxPrefix: "_INBOX" });
  const owners = new Map<string, string[]>();
  for (const { subject, body } of stored) {
    const record = parseReaderRecord(body);
    if (record?.kind !== "reader" || record.owner === "") continue;
    const before = owners.get(subject) ?? [];
    if (before.at(-1) !== record.owner) owners.set(subject, [...before, record.owner]);
  }
  expect(owners.size).toBe(8);
  for (const [subject, words] of owners) expect(new Set(words).size, subject).toBe(words.length);
}

test.each(["save", "transaction"] as const)(
  "three processes share a name over kill -9 and a pause, in order; checkpoints by %s",
  async (mode) => {
    written = 0;
    await using dir = await tempDir("cim-group-");
    const journal = join(dir.path, "journal");
    const database = join(dir.path, "handled.db");
    type Line = { pid: number; id?: string; held?: string; taken?: string };
    const lines = async (): Promise<Line[]> =>
      (await readFile(journal, "utf8").catch(() => ""))
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    const handled = async (): Promise<string[]> => {
      if (mode === "save") return (await lines()).flatMap(({ id }) => id ?? []);
      try {
        using db = new DatabaseSync(database, { readOnly: true, timeout: 5_000 });
        return (db.prepare("SELECT id FROM handled ORDER BY n").all() as { id: string }[]).map(
          ({ id }) => id,
        );
      } catch {
        return [];
      }
    };
    const all = () =>
      eventually(async () => new Set(await handled()).size === written, {
        what: `${written} events handled`,
      });
    const holdFile = (pid: number) => join(dir.path, `hold-${pid}`);
    await using processes = new AsyncDisposableStack();
    const begin = (): ChildProcess & { readonly pid: number } => {
      const hold = join(dir.path, `hold-${members.length}`);
      const child = spawn(
        process.execPath,
        [PROGRAM, server.url, journal, hold, mode === "save" ? "save" : database],
        { stdio: ["ignore", "ignore", "inherit"] },
      );
      processes.defer(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      });
      return child as ChildProcess & { readonly pid: number };
    };
    const members: (ChildProcess & { readonly pid: number })[] = [];
    for (let n = 0; n < 3; n++) members.push(begin());
    const [killed, paused, third] = members as [
      ChildProcess & { pid: number },
      ChildProcess & { pid: number },
      ChildProcess & { pid: number },
    ];
    const worksAgain = async (pid: number, from: number) =>
      await eventually(
        async () => {
          await append(AGGREGATES);
          return (await lines()).slice(from).some((line) => line.pid === pid && line.id !== undefined);
        },
        { everyMs: 300, what: `${pid} handles events` },
      );

    await append(PER_ROUND);
    for (const { pid } of members) await worksAgain(pid, 0);
    await all();

    const exited = once(killed, "exit");
    killed.kill("SIGKILL");
    await exited;
    await append(PER_ROUND);
    await all();

    // It stands still between handling an event and saying so, and its partitions move.
    await writeFile(holdFile(1), "");
    const held = await eventually(
      async () => {
        await append(AGGREGATES);
        return (await lines()).find((line) => line.held !== undefined)?.held;
      },
      { everyMs: 300, what: "an event whose handling is paused" },
    );
    await eventually(async () => (await lines()).some(({ pid, id }) => pid === third.pid && id === held), {
      what: "the event handled by the other one",
    });
    await all();
    await rm(holdFile(1));
    const before = (await lines()).length;
    paused.kill("SIGCONT");
    await eventually(async () => (await lines()).some(({ taken }) => taken === held), {
      what: "the save that is refused",
    });
    await worksAgain(paused.pid, before);
    await all();

    await expectNoFencedSave();
    const ids = await handled();
    if (mode === "transaction") expect(ids.length).toBe(written);
    const firsts = [...new Set(ids)];
    expect(firsts.map(numberOf).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: written }, (_, n) => n),
    );
    for (let aggregate = 0; aggregate < AGGREGATES; aggregate++) {
      const order = firsts.map(numberOf).filter((n) => n % AGGREGATES === aggregate);
      expect(order, `a${aggregate}`).toEqual(order.toSorted((a, b) => a - b));
    }
  },
);

/** Reads until its turn is over, saving all. */
class Reading {
  readonly events: CimEvent[] = [];
  readonly saved: string[] = [];
  readonly #stop = new AbortController();
  readonly reader: GroupReader;
  readonly done: Promise<void>;

  constructor(client: CimClient) {
    const group = { partitions: 4, leaseMs: 4_000 };
    this.reader = client.subscribe({ durable: "billing", group, signal: this.#stop.signal });
    this.done = this.#read();
  }

  async #read(): Promise<void> {
    for await (const event of this.reader) {
      this.events.push(event);
      try {
        await this.reader.save(event);
        this.saved.push(event.id);
      } catch (error) {
        // On a machine that stands still for seconds.
        if (!(error instanceof ReaderTaken)) throw error;
      }
    }
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }
}

test("partitions are shared when members come, given on with all saved when one leaves, and kept over a server's kill -9", async () => {
  written = 0;
  await append(40);
  const first = new Reading(cim);
  await eventually(() => first.events.length >= 40);
  const second = new Reading(cim);
  await eventually(() => second.reader.partitions.length === 2 && first.reader.partitions.length === 2);
  expect([...first.reader.partitions, ...second.reader.partitions].toSorted()).toEqual([0, 1, 2, 3]);
  await server.kill("SIGKILL");
  await server.restart();
  await eventually(() => cim.append({ domain: "orders", aggregate: "back", type: "Back" }));
  await append(40);
  const read = () => new Set([...first.events, ...second.events].map(({ id }) => id)).size;
  await eventually(() => read() === 81);
  await first.end();
  expect(first.reader.partitions).toEqual([]);
  await append(40);
  await eventually(() => read() === 121);
  await eventually(() => second.reader.partitions.length === 4);
  await second.end();
  const third = new Reading(cim);
  await append(1);
  await eventually(() => third.events.some(({ id }) => id === "e-120"));
  // Nothing that was saved comes again.
  const before = new Set([...first.saved, ...second.saved]);
  expect(before.size).toBeGreaterThan(100);
  expect(third.events.filter(({ id }) => before.has(id))).toEqual([]);
  await third.end();
});

test("a client that is closed ends the loops of its groups without an error", async () => {
  const other = await connectCim({ url: server.url });
  const reading = new Reading(other);
  await eventually(() => reading.reader.partitions.length === 4);
  await other.close();
  await reading.done;
});

test("batches are of one partition; a name is of a group or of one process; rm ends a group", async () => {
  written = 0;
  await append(60);
  const group = { partitions: 4 };
  const reader = cim.subscribe({ durable: "billing", group, signal: AbortSignal.timeout(60_000) });
  let seen = 0;
  for await (const batch of reader.batches({ max: 10, waitMs: 10 })) {
    const partitions = batch.events.map((event) => reader.claimOf(event).partition);
    expect(new Set(partitions).size).toBe(1);
    await reader.save(batch);
    seen += batch.events.length;
    if (seen === 60) break;
  }
  const of = async (options: { group?: { partitions: number } }) => {
    for await (const event of cim.subscribe({ durable: "billing", ...options })) return event;
    return undefined;
  };
  await expect(of({})).rejects.toThrow(ReaderDiffers);
  await expect(of({ group: { partitions: 5 } })).rejects.toThrow(
    /^group.partitions: billing has 4, not 5; write 4, or take another name$/,
  );
  await expect(of({ group: { partitions: 0 } })).rejects.toThrow(/^group.partitions: 0 is no number/);
  const running = new Reading(cim);
  const ended = expect(running.done).rejects.toThrow(ReaderTaken);
  await eventually(() => running.reader.partitions.length === 4);
  const { stdout } = await cimCommand(["readers", "rm", "billing", "--server", server.url]);
  expect(stdout).toBe("billing is forgotten on test\n");
  await ended;
  const anew = new Reading(cim);
  await eventually(() => anew.events.length >= 60);
  await anew.end();
});
