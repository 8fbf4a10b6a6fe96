import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { keepVersions } from "../../coordinator/sequencer/commits/purged-versions.ts";
import {
  type CimClient,
  type CimEvent,
  connectCim,
  EventRejected,
  HubUnavailable,
  VersionConflict,
} from "../../shared/client/connect-cim.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { readNodeContracts } from "../../shared/nats/node-contracts.ts";
import { uuidv7 } from "../../shared/protocol/identity.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { readStream } from "../support/checker-read.ts";
import { cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { purgeLog } from "../support/purge-log.ts";

const configure = (document: ConfigDocument): ConfigDocument => ({
  ...document,
  contracts: { orders: { mode: "strong" } },
});

let fleet: Fleet;
let clients: { readonly hub: CimClient; readonly leaf1: CimClient; readonly leaf2: CimClient };

const placed = (aggregate: string) => ({
  domain: "orders",
  aggregate,
  type: "Placed",
  data: { of: aggregate },
});

/** What a node's readers get of an aggregate, once there is so much of it. */
async function readAt(client: CimClient, aggregate: string, count: number): Promise<CimEvent[]> {
  const events: CimEvent[] = [];
  for await (const event of client.subscribe({ from: "start", domain: "orders", waitMs: 60_000 })) {
    if (event.aggregate === aggregate) events.push(event);
    if (events.length === count) break;
  }
  return events;
}

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 2, configure });
  const [hub, leaf1, leaf2] = await Promise.all(
    [fleet.hub, fleet.leaf("leaf1"), fleet.leaf("leaf2")].map(({ natsUrl }) => connectCim({ url: natsUrl })),
  );
  clients = { hub: hub as CimClient, leaf1: leaf1 as CimClient, leaf2: leaf2 as CimClient };
});

afterAll(async () => {
  await Promise.all(Object.values(clients ?? {}).map((client) => client.close()));
  await fleet?.[Symbol.asyncDispose]();
});

it("an aggregate of a strong domain has one history, whichever nodes write it", async () => {
  const { hub, leaf1, leaf2 } = clients;
  const first = await leaf1.append({ ...placed("one"), expect: "none" });
  expect(first).toMatchObject({ node: "leaf1", seq: first.version });
  await expect(leaf2.append({ ...placed("one"), expect: "none" })).rejects.toThrow(VersionConflict);
  const second = await leaf2.append({ ...placed("one"), expect: first, causedBy: first });
  await expect(hub.append({ ...placed("one"), expect: first })).rejects.toMatchObject({
    name: "VersionConflict",
    aggregate: "orders.one",
    expected: first.version,
    actual: second.version,
  });
  // A version that was read counts as well.
  const [, read] = await readAt(leaf1, "one", 2);
  const third = await leaf1.append({ ...placed("one"), ...(read && { expect: read }) });
  // Appended elsewhere at the same time, others are not in its way.
  await Promise.all(
    [hub, leaf1, leaf2].map((client, n) => client.append({ ...placed(`other${n}`), expect: "none" })),
  );
  const ids = [first, second, third].map(({ id }) => id);
  for (const client of [hub, leaf1, leaf2]) {
    const events = await readAt(client, "one", 3);
    expect(events.map(({ id }) => id)).toEqual(ids);
    expect(events.map(({ version }) => version)).toEqual(
      [first, second, third].map(({ version }) => version),
    );
    expect(events.map(({ origin }) => origin.node)).toEqual(["leaf1", "leaf2", "leaf1"]);
  }
});

it("the same id is the same event, and what can't be judged is refused by name", async () => {
  const { leaf1, leaf2 } = clients;
  const event = { ...placed("again"), id: uuidv7(), expect: "none" } as const;
  const appended = await leaf1.append(event);
  expect(await leaf2.append(event)).toEqual({ ...appended, node: "leaf2", duplicate: true });
  const found = () => leaf2.find(event.id, { domain: "orders" });
  await eventually(async () => (await found()).found, { timeoutMs: 60_000, what: "it in leaf2's copy" });
  expect(await found()).toEqual({ found: true, node: "leaf1", seq: appended.version });
  await expect(leaf1.append({ ...placed("again2"), id: event.id })).rejects.toThrow(
    /is that of .*orders\.again\./,
  );
  await expect(leaf1.appendBatch([placed("a"), placed("b")])).rejects.toThrow(EventRejected);
  await expect(leaf1.append({ ...placed("a"), expect: { node: "leaf1", seq: 3 } })).rejects.toThrow(
    /is no version/,
  );
  const weak = await leaf1.append({ domain: "person", aggregate: "ada", type: "Created" });
  expect(weak).not.toHaveProperty("version");
  await expect(
    leaf1.append({ domain: "person", aggregate: "ada", type: "Moved", expect: appended }),
  ).rejects.toThrow(/person is none/);
});

it("a program that only knows JetStream commits with its own publish, and understands what it is told", async () => {
  const nc = await connectNats({ url: fleet.leaf("leaf1").natsUrl, name: "plain" });
  try {
    const js = jetstream(nc);
    const publish = (expect?: Record<string, unknown>, msgID = uuidv7()) =>
      js.publish("cim.events.orders.plain.Placed", "{}", { msgID, ...(expect && { expect }) });
    const id = uuidv7();
    const ack = await publish(undefined, id);
    expect(ack).toMatchObject({ stream: "CIM_EVENTS", domain: "hub", duplicate: false });
    expect(await publish(undefined, id)).toMatchObject({ seq: ack.seq, duplicate: true });
    await expect(publish({ lastSubjectSequence: ack.seq })).rejects.toThrow(/Cim-Expected-Version/);
    await expect(js.publish("cim.events.orders.plain.Placed", "{}")).rejects.toThrow(/needs an id/);
    expect((await readAt(clients.leaf2, "plain", 1)).map((event) => event.id)).toEqual([id]);
  } finally {
    await nc.close();
  }
});

it("cim events publish commits, and says what it was told", async () => {
  const args = ["events", "publish", "orders", "by-hand", "Placed", "--server", fleet.leaf("leaf1").natsUrl];
  const one = await cim(args);
  expect(one).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/committed by the hub.*version \d+ now/),
  });
  const many = await cim([...args, "--count", "50", "--json"]);
  expect(JSON.parse(many.stdout)).toMatchObject({ acknowledged: 50, last: { version: expect.any(Number) } });
  expect(await readAt(clients.hub, "by-hand", 51)).toHaveLength(51);
});

it("while its link is down a node refuses commits, and says why", async () => {
  const { leaf1, leaf2 } = clients;
  const before = await leaf1.append(placed("offline"));
  await fleet.lab.link("leaf1").set({ state: "down" });
  const nc = await connectNats({ url: fleet.leaf("leaf1").natsUrl, name: "plain" });
  try {
    const js = jetstream(nc);
    // Until the server knows that its link is gone, nobody can say what becomes of a commit.
    const refused = await eventually(
      async () => {
        const error = await leaf1
          .append({ ...placed("offline"), expect: before })
          .catch((fault: unknown) => fault);
        if (error instanceof HubUnavailable && error.outcome === "not-stored") return error;
        throw new Error(`it was told ${String(error)}`);
      },
      { timeoutMs: 60_000, what: "a refusal" },
    );
    expect(refused.message).toMatch(/orders is strong .* leaf1 has had no link since/);
    const publish = js.publish("cim.events.orders.offline.Placed", "{}", { msgID: uuidv7() });
    await expect(publish).rejects.toThrow(/leaf1 has had no link since/);
    const byHand = await cim([
      "events",
      "publish",
      "orders",
      "x",
      "Placed",
      "--server",
      fleet.leaf("leaf1").natsUrl,
    ]);
    expect(byHand).toMatchObject({ code: 1, stderr: expect.stringContaining("leaf1 has had no link since") });
    // Other domains are written as ever.
    await leaf1.append({ domain: "person", aggregate: "ada", type: "Moved" });
  } finally {
    await nc.close();
    await fleet.lab.link("leaf1").set({ state: "up" });
  }
  const after = await eventually(() => leaf1.append({ ...placed("offline"), expect: before }), {
    timeoutMs: 60_000,
    what: "a commit when the link is back",
  });
  await expect(leaf2.append({ ...placed("offline"), expect: before })).rejects.toMatchObject({
    actual: after.version,
  });
});

it("a commit is refused while the hub's coordinator is away, and one of before is known to the next", async () => {
  const { leaf1 } = clients;
  const event = { ...placed("away"), id: uuidv7(), expect: "none" } as const;
  const appended = await leaf1.append(event);
  await fleet.hub.kill("daemon");
  const refused = await eventually(
    async () => {
      const error = await leaf1.append(event).catch((fault: unknown) => fault);
      if (error instanceof HubUnavailable && error.outcome === "not-stored") return error;
      throw new Error(`it was told ${String(error)}`);
    },
    { timeoutMs: 60_000, what: "a refusal" },
  );
  expect(refused.message).toContain("its coordinator is away");
  await fleet.hub.start("daemon");
  const again = await eventually(() => leaf1.append(event), { timeoutMs: 60_000, what: "the coordinator" });
  expect(again).toEqual({ ...appended, duplicate: true });
});

it("an aggregate that has rested for longer than the log is kept is still at its version", async () => {
  const { leaf1, leaf2 } = clients;
  const rested = await leaf1.append({ ...placed("rested"), expect: "none" });
  const log = async () => (await readStream(fleet.hub.natsUrl, "CIM_EVENTS")).messages;
  // Some time without events, and the marks are written; a fence stands behind them with the next reign.
  await eventually(async () => (await log()).at(-1)?.subject === "cim.events._cim.marks", {
    timeoutMs: 60_000,
    what: "marks",
  });
  await fleet.hub.kill("daemon");
  await fleet.hub.start("daemon");
  await eventually(async () => (await log()).at(-1)?.subject !== "cim.events._cim.marks", {
    timeoutMs: 60_000,
    what: "the next reign",
  });
  await purgeAll();
  expect((await log()).map(({ subject }) => subject)).not.toContain("cim.events.orders.rested.Placed");
  const refused = eventually(
    () => leaf2.append({ ...placed("rested"), expect: "none" }).catch((error: unknown) => isConflict(error)),
    { timeoutMs: 60_000, what: "the coordinator" },
  );
  expect(await refused).toMatchObject({ actual: rested.version });
  const next = await leaf2.append({ ...placed("rested"), expect: rested });
  expect(next.version).toBeGreaterThan(rested.version as number);
});

/** Gives a conflict, and throws what may pass. */
function isConflict(error: unknown): VersionConflict {
  if (error instanceof VersionConflict) return error;
  throw error;
}

/** Purges the log as the coordinator does: versions that strong domains need are kept first. */
async function purgeAll(): Promise<void> {
  await purgeLog(fleet.hub, async (nc) => {
    const contracts = await readNodeContracts(nc);
    if (!contracts || contracts === "unreadable") throw new Error("the hub has published no contracts");
    return (part) => keepVersions({ nc, inboxPrefix: inboxPrefix("hub") }, contracts, part);
  });
}
