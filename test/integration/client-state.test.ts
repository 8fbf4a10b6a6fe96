import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { type Contracts, NO_CONTRACTS, USUAL_CONTRACT } from "../../shared/consistency/contract/contract.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { LogByHand } from "../support/log-by-hand.ts";
import { startNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
const ADA = "cim.events.person.ada.Changed";

/** A node named `test` that keeps no states, with a log that goes on when the test says so. */
async function start(contracts: Contracts = NO_CONTRACTS, withLog = true) {
  const server = await startNatsServer({
    config: 'server_name: test\nmax_payload: 4MB\njetstream { store_dir: "{dir}/nats", sync_interval: 1s }\n',
  });
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * MiB, maxPayload: 4 * MiB, contracts }));
  if (withLog) await ensureStream(nc, eventsStream({ maxBytes: null }));
  const log = new LogByHand(nc);
  if (withLog) await log.reign(1, "aa");
  const cim = await connectCim({ url: server.url });
  return {
    nc,
    log,
    cim,
    change: (data: unknown, seen?: string) =>
      cim.append({
        domain: "person",
        aggregate: "ada",
        type: "Changed",
        data,
        ...(seen !== undefined && { seen }),
      }),
    async [Symbol.asyncDispose]() {
      await cim.close();
      await nc.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("own events are in it at once, others' as they come, and what is only here is counted", async () => {
  await using node = await start();
  const { cim, log } = node;
  expect(await cim.state("person", "ada")).toMatchObject({
    value: null,
    deleted: false,
    position: null,
    provisional: 0,
  });
  await node.change({ name: "Ada", unknown: { deep: [1] } });
  expect(await cim.state("person", "ada")).toMatchObject({
    value: { name: "Ada", unknown: { deep: [1] } },
    provisional: 1,
    position: null,
    complete: true,
  });
  await log.takeOutbox("test");
  await log.event("leaf2", 1, { subject: ADA, body: '{"city":"Rome"}' });
  await node.change({ name: "Ada L." });
  expect(await cim.state("person", "ada")).toMatchObject({
    value: { name: "Ada L.", city: "Rome", unknown: { deep: [1] } },
    provisional: 1,
    position: "1-aa.3",
  });
  await log.takeOutbox("test");
  expect(await cim.state("person", "ada")).toMatchObject({ provisional: 0, position: "1-aa.4" });
});

test("own events are in it also while they come into the log", async () => {
  await using node = await start();
  for (let n = 0; n < 60; n++) {
    const aggregate = `at-${n}`;
    await node.cim.append({ domain: "person", aggregate, type: "Changed", data: { n } });
    // At another moment of the reading each time.
    const taken = setTimeout(n % 6).then(() => node.log.takeOutbox("test"));
    const [state] = await Promise.all([node.cim.state("person", aggregate), taken]);
    expect(state).toMatchObject({ value: { n } });
  }
});

test("a node without a copy knows its own events, and says that this is not all", async () => {
  await using node = await start(NO_CONTRACTS, false);
  await node.change({ name: "Ada" });
  await node.change(null);
  expect(await node.cim.state("person", "ada")).toMatchObject({
    value: null,
    deleted: true,
    provisional: 2,
    complete: false,
  });
});

test("a log that has forgotten events says so", async () => {
  await using node = await start();
  await node.change({ name: "Ada", city: "Rome" });
  await node.change({ name: "Ada L." });
  await node.log.takeOutbox("test");
  expect((await node.cim.state("person", "ada")).complete).toBe(true);
  await jetStreamApi(node.nc, "STREAM.PURGE.CIM_EVENTS", { seq: 3 });
  await jetStreamApi(node.nc, "STREAM.PURGE.CIM_OUTBOX", { filter: "cim.events.person.>" });
  expect(await node.cim.state("person", "ada")).toMatchObject({ value: { name: "Ada L." }, complete: false });
});

const SIDE_BY_SIDE: Contracts = { usual: { ...USUAL_CONTRACT, resolver: "vector-clock" }, domains: {} };

test("what was seen is settled by who says so; what the outbox still has of it does not come back", async () => {
  await using node = await start(SIDE_BY_SIDE);
  const { cim, log } = node;
  await node.change({ name: "Ada A" });
  await log.takeOutbox("test");
  await log.event("leaf2", 1, {
    subject: ADA,
    body: '{"name":"Ada B"}',
    headerText: "Cim-Clock: 1.0 .:0\r\n",
  });
  const both = await cim.state("person", "ada");
  expect(both.value).toEqual({ name: "Ada A" });
  const shown = (versions: readonly { value: unknown; node: string }[]) =>
    versions.map(({ value, node: of }) => `${value} of ${of}`);
  expect(both.siblings.map(({ path, versions }) => [path, shown(versions)])).toEqual([
    [["name"], ["Ada A of test", "Ada B of leaf2"]],
  ]);
  await node.change({ name: "Ada C" }, both.version);
  const settled = { value: { name: "Ada C" }, siblings: [] };
  expect(await cim.state("person", "ada")).toMatchObject({ ...settled, provisional: 1 });
  await log.takeOutbox("test");
  expect(await cim.state("person", "ada")).toMatchObject({ ...settled, provisional: 0 });
  // Another node has seen all of it: of the own events, which the outbox still has, nothing is left.
  await log.event("leaf2", 2, {
    subject: ADA,
    body: '{"name":"Ada D"}',
    headerText: `Cim-Clock: ${Date.now()}.0 .:1 test/1:2\r\n`,
  });
  expect(await cim.state("person", "ada")).toMatchObject({
    value: { name: "Ada D" },
    siblings: [],
    provisional: 0,
  });
});

test("a version that has what is only here yet is of no use elsewhere, any other one is", async () => {
  await using here = await start(SIDE_BY_SIDE);
  await here.change({ name: "Ada" });
  const { version } = await here.cim.state("person", "ada");
  await here.log.takeOutbox("test");
  const inLog = await here.cim.state("person", "ada");
  const elsewhere = (of: string) => of.replace(/^test /, "leaf9 ");
  await expect(here.change({ name: "Eve" }, elsewhere(version))).rejects.toThrow(
    "seen: the version is of leaf9 and has events that are only there yet",
  );
  await here.change({ name: "Eve" }, elsewhere(inLog.version));
  expect(await here.cim.state("person", "ada")).toMatchObject({ value: { name: "Eve" }, siblings: [] });
});

test("bodies that are no JSON, of 1 MB, vectors of nodes long gone, and 10,000 events", async () => {
  await using node = await start();
  const { cim, log } = node;
  await log.event("leaf2", 1, { subject: ADA, body: "no JSON" });
  const gone = Array.from({ length: 500 }, (_, i) => `gone${i}/3:${i + 1}`).join(" ");
  await log.event("leaf2", 2, {
    subject: ADA,
    body: '{"city":"Rome"}',
    headerText: `Cim-Clock: ${Date.now()}.0 ${gone}\r\n`,
  });
  await node.change({ note: "x".repeat(1_000_000) });
  await Promise.all(Array.from({ length: 10_000 }, (_, n) => node.change({ n, [`f${n % 100}`]: n })));
  const offline = await cim.state<Record<string, unknown>>("person", "ada");
  expect(offline).toMatchObject({ provisional: 10_001, value: { city: "Rome", n: 9_999, f7: 9_907 } });
  await log.takeOutbox("test", 3_000);
  const half = await cim.state<Record<string, unknown>>("person", "ada");
  expect(half.provisional).toBe(7_001);
  expect(half.value).toEqual(offline.value);
  expect(String(half.value?.note)).toHaveLength(1_000_000);
});

test("what is no aggregate is refused in one line", async () => {
  await using node = await start();
  await expect(node.cim.state("_cim", "lane")).rejects.toThrow(
    'domain: "_cim" is none; write one word, as person',
  );
  await expect(node.cim.state("person", "*")).rejects.toThrow("aggregate:");
});
