import { headers as natsHeaders } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import type { ConflictRecord } from "../../coordinator/conflicts/conflict-record.ts";
import { Conflicts } from "../../coordinator/conflicts/conflicts.ts";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { conflictsStream, eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { createLog } from "../../shared/observe/log.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer } from "../support/nats-server.ts";

const noted = (index: number, aggregate: string, value: unknown = "A"): NotedConflict => {
  const version = (node: string, written: unknown) => {
    const dot = { lane: `${node}/1`, seq: index };
    return { id: `${node}-${index}`, dot, stamp: { ...dot, ms: 1, order: 0 }, value: written };
  };
  return {
    conflict: {
      path: ["name"],
      kind: "lost",
      rule: "later clock",
      winner: version("leaf2", "B"),
      loser: version("leaf1", value),
      certain: true,
    },
    event: { domain: "person", aggregate, ingestMs: index },
    position: { reign: { epoch: 1, id: "aa" }, index },
    resolver: "last-write-wins",
  };
};

async function start() {
  const server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  for (const stream of [
    conflictsStream(),
    eventsStream({ maxBytes: null }),
    outboxStream({ maxBytes: 64 * 1024 * 1024, maxPayload: 1024 * 1024 }),
  ])
    await ensureStream(nc, stream);
  const log = createLog({ name: "test", level: "error", node: "hub" });
  const open = () => {
    const counted: string[] = [];
    const stored: (string | undefined)[] = [];
    const conflicts = new Conflicts({
      nc: () => nc,
      inboxPrefix: "_INBOX",
      log,
      onConflict: ({ domain, resolver }) => counted.push(`${domain} ${resolver}`),
      onStore: (error) => stored.push(error),
    });
    return { conflicts, counted, stored };
  };
  return {
    nc,
    open,
    async [Symbol.asyncDispose]() {
      await nc.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const ids = (records: readonly ConflictRecord[]) => records.map(({ id }) => id);

test("what is folded again replaces itself and is counted once", async () => {
  await using node = await start();
  const first = node.open();
  await first.conflicts.note([noted(4, "ada"), noted(4, "ada"), noted(7, "bob")]);
  await first.conflicts.note([noted(9, "ada")]);
  expect(first.counted).toHaveLength(4);
  // After a crash the same log is folded from before, in other batches.
  const again = node.open();
  await again.conflicts.note([noted(7, "bob"), noted(9, "ada"), noted(11, "eve")]);
  expect(again.counted).toEqual(["person last-write-wins"]);
  expect((await streamState(node.nc, "CIM_CONFLICTS")).messages).toBe(5);
  expect(ids(await again.conflicts.list({ limit: 100 }))).toEqual(["11.1", "9.1", "7.1", "4.2", "4.1"]);
});

test("a journal that can't be written is told, and stops who folds until it can", async () => {
  await using node = await start();
  const { conflicts, counted, stored } = node.open();
  await node.nc.request("$JS.API.STREAM.DELETE.CIM_CONFLICTS", "", { timeout: 20_000 });
  await expect(conflicts.note([noted(4, "ada")])).rejects.toThrow();
  expect(stored).toEqual([expect.any(String)]);
  await ensureStream(node.nc, conflictsStream());
  await conflicts.note([noted(4, "ada")]);
  expect([stored.at(-1), counted.length]).toEqual([undefined, 1]);
});

test("the newest that are asked for are found, however many others there are", async () => {
  await using node = await start();
  const { conflicts } = node.open();
  await conflicts.note([noted(1, "ada"), noted(2, "ada")]);
  await conflicts.note(Array.from({ length: 1_500 }, (_, i) => noted(10 + i, "crowd")));
  const of = (aggregate: string, limit: number) => conflicts.list({ domain: "person", aggregate, limit });
  expect(ids(await of("ada", 1))).toEqual(["2.1"]);
  expect(ids(await of("ada", 5))).toEqual(["2.1", "1.1"]);
  expect(ids(await of("crowd", 2))).toEqual(["1509.1", "1508.1"]);
  expect(ids(await conflicts.list({ limit: 1 }))).toEqual(["1509.1"]);
  expect(await conflicts.list({ domain: "orders", limit: 5 })).toEqual([]);
  expect((await conflicts.find("2.1"))?.aggregate).toBe("ada");
  expect(await conflicts.find("3.1")).toBeUndefined();
});

test("values of 1 MB fit, as their length", async () => {
  await using node = await start();
  const { conflicts } = node.open();
  await conflicts.note(Array.from({ length: 20 }, (_, i) => noted(1 + i, "ada", "x".repeat(1_000_000 + i))));
  const [newest] = await conflicts.list({ limit: 100 });
  expect(newest?.loser?.cutBytes).toBe(1_000_021);
});

test("what the log says was done about a conflict is told with it, and outlives the log", async () => {
  await using node = await start();
  const { conflicts } = node.open();
  const log = new LogByHand(node.nc);
  await log.reign(1, "aa");
  await conflicts.note([noted(4, "ada"), noted(5, "ada")]);
  const settle = async (type: string, headers: string) => {
    const frame = `Cim-Clock: 1.0\r\n${headers}`;
    await node.nc.request(`cim.events.person.ada.${type}`, '{"name":"A"}', {
      timeout: 20_000,
      headers: headersOf(frame),
    });
    await log.takeOutbox("hub");
  };
  await settle("ConflictReinstated", "Cim-Resolves: 4.1");
  await settle("ConflictResolved", "Cim-Resolves: nonsense");
  const resolutions = async (from = conflicts) =>
    (await from.list({ limit: 9 })).map(({ id, resolution }) => [id, resolution?.how]);
  expect(await resolutions()).toEqual([
    ["5.1", undefined],
    ["4.1", "reinstated"],
  ]);
  await settle("ConflictResolved", "Cim-Resolves: 4.1");
  expect((await conflicts.find("4.1"))?.resolution).toMatchObject({
    how: "resolved",
    node: "hub",
    log: "1-aa.4",
  });
  await node.nc.request("$JS.API.STREAM.PURGE.CIM_EVENTS");
  expect(await resolutions(node.open().conflicts)).toEqual([
    ["5.1", undefined],
    ["4.1", "resolved"],
  ]);
});

function headersOf(text: string) {
  const all = natsHeaders();
  for (const line of text.split("\r\n").filter((one) => one !== "")) {
    const [name = "", value = ""] = line.split(": ");
    all.set(name, value);
  }
  return all;
}
