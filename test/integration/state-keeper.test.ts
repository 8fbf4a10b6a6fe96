import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import { readStateCheckpoint } from "../../shared/follow/read-state.ts";
import { ensureStreams } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { bucketStream, eventsStream } from "../../shared/nats/streams.ts";
import { BUCKET } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";
import { allStates, contractsOf, folded, startStates, stateOf } from "../support/state-node.ts";

let server: TestNatsServer;
let nc: NatsConnection;
let log: LogByHand;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connect({ servers: server.url });
});

beforeEach(async () => {
  const { streams } = await jetStreamApi<{ streams: string[] | null }>(nc, "STREAM.NAMES", {});
  for (const name of streams ?? []) await jetStreamApi(nc, `STREAM.DELETE.${name}`, undefined);
  await ensureStreams(nc, [eventsStream({ maxBytes: null })]);
  log = new LogByHand(nc);
  await log.reign(1, "aa");
});

afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});

const counts = (aggregate: string, count: number, node = "leaf1") =>
  Array.from({ length: count }, () => ({ node, aggregate, data: { n: 1 } }));
const read = async (aggregate: string, domain?: string) => (await stateOf(nc, aggregate, domain))?.value;

it("folds what is there and what comes, and goes on where it stood", async () => {
  await log.events([...counts("ada", 3), ...counts("bob", 2)]);
  {
    await using _node = startStates(nc);
    await folded(nc);
    expect(await read("ada")).toEqual({ n: 3 });
    await log.events(counts("ada", 250));
    await folded(nc);
  }
  await log.events([...counts("ada", 1), ...counts("bob", 1)]);
  await using _again = startStates(nc);
  await folded(nc);
  expect(await stateOf(nc, "ada")).toMatchObject({ value: { n: 254 }, events: 254, deleted: false });
  expect(await stateOf(nc, "bob")).toMatchObject({ value: { n: 3 }, events: 3 });
  expect(await stateOf(nc, "nobody")).toBeUndefined();
});

it("says that nothing is folded while its states can't be opened: the log is not purged then", async () => {
  await log.events(counts("ada", 3));
  await ensureStreams(nc, [bucketStream(BUCKET.state)]);
  await nc.request("$KV.CIM_STATE._checkpoint", "of a later version");
  await using node = startStates(nc);
  await eventually(() => node.conditions.has("state-stalled"), { what: "the states can't be opened" });
  expect(node.keeper.foldedSeq).toBe(0);
  await jetStreamApi(nc, "STREAM.PURGE.KV_CIM_STATE", undefined);
  await folded(nc);
  await eventually(() => (node.keeper.foldedSeq ?? 0) > 3, { what: "it says how far it came" });
});

it("keeps what no cache holds", async () => {
  const nobody = { cacheSize: 0 };
  await using _node = startStates(nc, { settings: nobody });
  for (let round = 0; round < 3; round++) {
    await log.events(
      Array.from({ length: 20 }, (_, i) => ({ node: "leaf1", aggregate: `a${i}`, data: { n: 1 } })),
    );
    await folded(nc);
  }
  for (let i = 0; i < 20; i++) expect(await read(`a${i}`)).toEqual({ n: 3 });
});

it("sets aside what can't be folded, says so, and takes the rest", async () => {
  await log.events([
    ...counts("ada", 2),
    { node: "leaf1", aggregate: "ada", body: Buffer.from("no json") },
    { node: "leaf1", aggregate: "ada", data: { n: "many" } },
    ...counts("ada", 1),
    { node: "leaf2", aggregate: "bob", body: Buffer.from([0xff, 0xfe]) },
  ]);
  await using node = startStates(nc);
  await folded(nc);
  expect(await read("ada")).toEqual({ n: 3 });
  expect((await readStateCheckpoint(nc))?.poisoned).toBe(3);
  await eventually(() => node.conditions.has("state-poisoned"));
});

it("gives every conflict before what follows from it is stored", async () => {
  const told: { readonly conflict: NotedConflict; readonly stored: unknown }[] = [];
  const now = Date.now();
  const seenNothing = (node: string, name: string, ms: number) => ({
    node,
    aggregate: "ada",
    domain: "notes",
    data: { name },
    clock: `${ms}.0 .:0`,
  });
  let failures = 2;
  await using _node = startStates(nc, {
    onConflicts: async (conflicts) => {
      // The journal is not there: nothing goes on without it.
      if (failures-- > 0) throw new Error("no journal");
      for (const conflict of conflicts) told.push({ conflict, stored: await read("ada", "notes") });
    },
  });
  await log.events([seenNothing("leaf1", "Ada", now - 2000), seenNothing("leaf2", "Ida", now - 1000)]);
  await folded(nc);
  expect(await read("ada", "notes")).toEqual({ name: "Ida" });
  expect(told.length).toBeGreaterThan(0);
  const [{ conflict, stored }] = told as [(typeof told)[number]];
  expect(conflict.conflict).toMatchObject({ path: ["name"], kind: "lost", loser: { value: "Ada" } });
  expect(conflict.position.index).toBe(3);
  expect(stored).not.toEqual({ name: "Ida" });
});

it("refuses a second folder: the newer goes on, the older stops and says so", async () => {
  await log.events(counts("ada", 5));
  await using older = startStates(nc);
  await folded(nc);
  await using newer = startStates(nc);
  await eventually(async () => {
    await log.events(counts("ada", 1));
    return older.conditions.has("state-fenced");
  });
  await log.events(counts("ada", 1));
  await folded(nc);
  const state = await stateOf(nc, "ada");
  expect(state?.value).toEqual({ n: state?.events });
  expect(newer.conditions.has("state-fenced")).toBe(false);
});

it("folds anew beside the present states, which can be read meanwhile", async () => {
  await log.events([...counts("ada", 30), ...counts("bob", 4)]);
  await using _node = startStates(nc);
  await folded(nc);
  const answer = await nc.request("cim.node.hub.control.state-rebuild", "{}", { timeout: 20_000 });
  expect(answer.json()).toEqual({ accepted: true });
  for (let n = 0; (await readStateCheckpoint(nc))?.generations["*"] === 1; n++) {
    // At any moment: the old states or the new ones, never none.
    expect((await read("bob")) as { n: number }).toEqual({ n: 4 });
    if (n % 5 === 0) await log.events(counts("ada", 1));
  }
  await folded(nc);
  const ada = await stateOf(nc, "ada");
  expect(ada?.value).toEqual({ n: ada?.events });
  expect(await read("bob")).toEqual({ n: 4 });
  // What is no longer read is let go of.
  await eventually(async () => (await readStateCheckpoint(nc))?.stale.length === 0);
  expect((await allStates(nc)).size).toBe(2);
  const info = await jetStreamApi<{ state: { subjects: Record<string, number> } }>(
    nc,
    "STREAM.INFO.KV_CIM_STATE",
    {
      subjects_filter: "$KV.CIM_STATE.g1.>",
    },
  );
  expect(Object.keys(info.state.subjects ?? {})).toEqual([]);
});

it("folds a domain anew under another contract, and leaves the others", async () => {
  await log.events([
    { node: "leaf1", aggregate: "ada", domain: "notes", data: { n: 1 } },
    { node: "leaf1", aggregate: "ada", domain: "notes", data: { n: 1 } },
    ...counts("bob", 2),
  ]);
  {
    await using _node = startStates(nc);
    await folded(nc);
    expect(await read("ada", "notes")).toEqual({ n: 1 });
  }
  const counter = { resolver: "crdt", fields: { n: "counter" } } as const;
  await using _node = startStates(nc, { contracts: contractsOf({ person: counter, notes: counter }) });
  await eventually(async () => ((await read("ada", "notes")) as { n?: number } | undefined)?.n === 2);
  await log.events([
    { node: "leaf1", aggregate: "ada", domain: "notes", data: { n: 1 } },
    ...counts("bob", 1),
  ]);
  await folded(nc);
  expect(await read("ada", "notes")).toEqual({ n: 3 });
  expect(await read("bob")).toEqual({ n: 3 });
  const checkpoint = await readStateCheckpoint(nc);
  expect(checkpoint?.generations).toMatchObject({ "*": 1, notes: 2 });
});

it("folds anew when the log was restored below what is folded, running or not", async () => {
  await log.events(counts("ada", 10));
  {
    await using _node = startStates(nc);
    await folded(nc);
    // Index 1 is the reign's record: five events are left.
    await log.restoredTo(6, { epoch: 2, id: "bb" });
    await log.events(counts("bob", 3));
    await eventually(async () => ((await read("bob")) as { n?: number } | undefined)?.n === 3);
    await folded(nc);
    expect(await read("ada")).toEqual({ n: 5 });
  }
  await log.restoredTo(4, { epoch: 3, id: "cc" });
  await log.events(counts("cleo", 2));
  await using _node = startStates(nc);
  await eventually(async () => ((await read("cleo")) as { n?: number } | undefined)?.n === 2);
  await folded(nc);
  expect(await read("ada")).toEqual({ n: 3 });
  expect(await read("bob")).toBeUndefined();
});

it("recognises what it has folded when the stream is another one with the same log", async () => {
  await log.events(counts("ada", 10));
  {
    await using _node = startStates(nc);
    await folded(nc);
  }
  await jetStreamApi(nc, "STREAM.DELETE.CIM_EVENTS", undefined);
  await ensureStreams(nc, [eventsStream({ maxBytes: null })]);
  const refilled = new LogByHand(nc);
  await refilled.reign(1, "aa");
  await refilled.events([...counts("ada", 10), ...counts("bob", 1)]);
  await using _node = startStates(nc);
  await eventually(async () => (await read("bob")) !== undefined);
  expect(await stateOf(nc, "ada")).toMatchObject({ value: { n: 10 }, events: 10 });
});

it("says where a purged log leaves states without their beginning, and does not give up what they have", async () => {
  await log.events(counts("ada", 10));
  await jetStreamApi(nc, "STREAM.PURGE.CIM_EVENTS", { seq: 6 });
  await using node = startStates(nc);
  await folded(nc);
  await eventually(() => node.conditions.has("state-incomplete"));
  const answer = await nc.request("cim.node.hub.control.state-rebuild", "{}", { timeout: 20_000 });
  expect(answer.json()).toMatchObject({ accepted: false });
});
