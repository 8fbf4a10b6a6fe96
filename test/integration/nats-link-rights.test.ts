import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askNode } from "../../shared/nats/ask-node.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { createUserKey, ensureSeedFile } from "../../shared/nats/nkeys.ts";
import { reloadServer } from "../../shared/nats/server-control.ts";
import { copyConsumer, fillConsumer } from "../../shared/nats/server-rights.ts";
import { writeServerConfig } from "../../shared/nats/write-server-config.ts";
import { statusSubject } from "../../shared/protocol/subjects.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { linkRawLeaf } from "../support/raw-leaf.ts";

let fleet: NatsFleet;
let hub: NatsConnection;
let leaf: NatsConnection;

beforeAll(async () => {
  const strong = { sync: { mode: "eventual" }, contracts: { orders: { mode: "strong" } } } as const;
  fleet = await startNatsFleet({
    leaves: ["leaf1", "leaf2"],
    configure: (config) => ({ ...config, ...strong }),
  });
  hub = await fleet.connect("hub", "agent");
  leaf = await fleet.connect("leaf1", "agent");
  await createStream(hub, { name: "CIM_EVENTS", subjects: ["cim.log.>"] });
  await createStream(hub, { name: "CIM_OTHER", subjects: ["other.>"] });
  hub.subscribe("ready", { callback: () => {} });
  hub.subscribe("cim.coordinator.*.ready", { callback: (_, msg) => void msg.respond() });
  await eventually(() => leaf.request("cim.coordinator.leaf1.ready", "", { timeout: 500 }), {
    what: "the link",
  });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

test("a leaf speaks under its own name and no other", async () => {
  const heard = new Set<string>();
  // As specific as the daemons' own: interest in `>` would hide what a subject's own right is.
  for (const subject of [
    "cim.ingest.*",
    "cim.commit.*.>",
    "cim.coordinator.*.>",
    "cim.node.>",
    "cim.events.>",
    "cim.log.>",
    "cim.commands.>",
    "_INBOX.>",
    "foo",
  ]) {
    hub.subscribe(subject, { callback: (_, msg) => void heard.add(msg.subject) });
  }
  await hub.flush();
  const own = [
    "cim.ingest.leaf1",
    "cim.commit.leaf1.orders.a1.Placed",
    "cim.coordinator.leaf1.enroll",
    "cim.node.leaf1.heartbeat",
    "cim.node.leaf1.reply.x1",
  ];
  const others = [
    "cim.ingest.leaf2",
    "cim.ingest.hub",
    "cim.commit.leaf2.orders.a1.Placed",
    // Of a domain that is not strong.
    "cim.commit.leaf1.person.ada.Created",
    "cim.coordinator.leaf2.enroll",
    "cim.node.leaf2.heartbeat",
    "cim.node.leaf2.reply.x1",
    "cim.node.leaf1.control.stop",
    "cim.node.leaf2.control.stop",
    "cim.events.person.PersonCreated",
    "cim.log.person.PersonCreated",
    "_INBOX.hub.abc",
    "_INBOX.leaf2.abc",
    "foo",
  ];
  await eventually(async () => {
    for (const subject of [...others, ...own]) leaf.publish(subject);
    await leaf.flush();
    return own.every((subject) => heard.has(subject));
  });
  // Nothing overtakes on a link: what was sent before the last allowed one would have come before it.
  leaf.publish("cim.coordinator.leaf1.last");
  await eventually(() => heard.has("cim.coordinator.leaf1.last"));
  expect([...heard].filter((subject) => others.includes(subject))).toEqual([]);
});

test("a leaf hears what is said to it and nothing else", async () => {
  const heard = new Set<string>();
  for (const subject of ["_INBOX.>", "cim.>", "$JS.>", "foo"]) {
    leaf.subscribe(subject, { callback: (_, msg) => void heard.add(msg.subject) });
  }
  await leaf.flush();
  const own = [
    "_INBOX.leaf1.abc",
    "cim.node.leaf1.control.drain",
    "cim.node.leaf1.commands.orders.Place",
    "cim.node.leaf1.status",
  ];
  const others = [
    "_INBOX.hub.abc",
    "_INBOX.leaf2.abc",
    "cim.node.leaf2.control.drain",
    "cim.node.leaf2.commands.orders.Place",
    "cim.node.leaf2.status",
    "cim.node.leaf2.heartbeat",
    "cim.ingest.leaf2",
    "cim.events.person.PersonCreated",
    "cim.log.person.PersonCreated",
    "foo",
  ];
  await eventually(async () => {
    for (const subject of [...others, ...own]) hub.publish(subject);
    await hub.flush();
    return own.every((subject) => heard.has(subject));
  });
  hub.publish("_INBOX.leaf1.last");
  await eventually(() => heard.has("_INBOX.leaf1.last"));
  expect([...heard].filter((subject) => others.includes(subject))).toEqual([]);
});

test.each([copyConsumer("leaf1"), fillConsumer("leaf1")])(
  "a leaf reads the log through its consumer %s",
  async (name) => {
    await jetStreamApi(hub, "STREAM.PURGE.CIM_EVENTS", {});
    await hub.request("cim.log.person.PersonCreated", "one", { timeout: 20_000 });
    await hub.request("cim.log.orders.OrderPlaced", "two", { timeout: 20_000 });
    const api = { prefix: "$JS.hub.API", timeoutMs: 20_000 };
    const consumer = (filter: Record<string, unknown>) => ({
      stream_name: "CIM_EVENTS",
      config: { name, ack_policy: "none", deliver_policy: "all", mem_storage: true, ...filter },
    });
    const pull = async () => {
      const bodies: string[] = [];
      const messages = leaf.subscribe("_INBOX.leaf1.pull", {
        callback: (_, msg) => void bodies.push(`${msg.subject} ${msg.string()}`),
      });
      const body = JSON.stringify({ batch: 10, no_wait: true });
      leaf.publish(`$JS.hub.API.CONSUMER.MSG.NEXT.CIM_EVENTS.${name}`, body, { reply: "_INBOX.leaf1.pull" });
      await eventually(() => bodies.some((body) => body.startsWith("_INBOX")), {
        what: "the end of the batch",
      });
      messages.unsubscribe();
      return bodies.filter((body) => body.startsWith("cim."));
    };
    await jetStreamApi(leaf, `CONSUMER.CREATE.CIM_EVENTS.${name}`, consumer({}), api);
    await jetStreamApi(leaf, `CONSUMER.INFO.CIM_EVENTS.${name}`, undefined, api);
    expect(await pull()).toEqual(["cim.log.person.PersonCreated one", "cim.log.orders.OrderPlaced two"]);
    await jetStreamApi(leaf, `CONSUMER.DELETE.CIM_EVENTS.${name}`, undefined, api);
    const filter = "cim.log.orders.>";
    await jetStreamApi(
      leaf,
      `CONSUMER.CREATE.CIM_EVENTS.${name}.${filter}`,
      consumer({ filter_subject: filter }),
      api,
    );
    expect(await pull()).toEqual(["cim.log.orders.OrderPlaced two"]);
    await jetStreamApi(leaf, `CONSUMER.DELETE.CIM_EVENTS.${name}`, undefined, api);
  },
);

test("a leaf looks single records of the log up", async () => {
  await jetStreamApi(hub, "STREAM.PURGE.CIM_EVENTS", {});
  await hub.request("cim.log.person.PersonCreated", "one", { timeout: 20_000 });
  const api = { prefix: "$JS.hub.API", timeoutMs: 20_000 };
  const info = await jetStreamApi<{ state: { last_seq: number } }>(
    leaf,
    "STREAM.INFO.CIM_EVENTS",
    undefined,
    api,
  );
  const get = { seq: info.state.last_seq };
  const direct = await leaf.request("$JS.hub.API.DIRECT.GET.CIM_EVENTS", JSON.stringify(get), {
    timeout: 20_000,
  });
  expect(direct.string()).toBe("one");
  const last = await leaf.request("$JS.hub.API.DIRECT.GET.CIM_EVENTS.cim.log.person.PersonCreated", "", {
    timeout: 20_000,
  });
  expect(last.string()).toBe("one");
  const stored = await jetStreamApi<{ message: { data: string } }>(
    leaf,
    "STREAM.MSG.GET.CIM_EVENTS",
    get,
    api,
  );
  expect(Buffer.from(stored.message.data, "base64").toString()).toBe("one");
});

test.each([
  ["CONSUMER.CREATE.CIM_EVENTS.copy-leaf2", { stream_name: "CIM_EVENTS", config: { name: "copy-leaf2" } }],
  ["CONSUMER.CREATE.CIM_EVENTS.mine", { stream_name: "CIM_EVENTS", config: { name: "mine" } }],
  ["CONSUMER.CREATE.CIM_EVENTS", { stream_name: "CIM_EVENTS", config: {} }],
  ["CONSUMER.DELETE.CIM_EVENTS.copy-leaf2", undefined],
  ["CONSUMER.INFO.CIM_EVENTS.copy-leaf2", undefined],
  ["CONSUMER.MSG.NEXT.CIM_EVENTS.copy-leaf2", undefined],
  ["CONSUMER.CREATE.CIM_OTHER.copy-leaf1", { stream_name: "CIM_OTHER", config: { name: "copy-leaf1" } }],
  ["STREAM.INFO.CIM_OTHER", undefined],
  ["STREAM.PURGE.CIM_EVENTS", {}],
  ["STREAM.DELETE.CIM_EVENTS", undefined],
  ["STREAM.UPDATE.CIM_EVENTS", { name: "CIM_EVENTS", subjects: ["x"] }],
  ["STREAM.MSG.DELETE.CIM_EVENTS", { seq: 1 }],
  ["STREAM.CREATE.MINE", { name: "MINE", subjects: ["mine"] }],
  ["STREAM.NAMES", undefined],
  ["DIRECT.GET.CIM_OTHER", { seq: 1 }],
])("a leaf cannot %s at the hub", async (request, body) => {
  await expect(jetStreamApi(leaf, request, body, { prefix: "$JS.hub.API", timeoutMs: 300 })).rejects.toThrow(
    /no responders|timeout/,
  );
});

test("what is asked under the own name cannot be for another consumer or stream", async () => {
  const create = (body: Record<string, unknown>) =>
    jetStreamApi<{ name: string }>(leaf, "CONSUMER.CREATE.CIM_EVENTS.copy-leaf1", body, {
      prefix: "$JS.hub.API",
    });
  const config = { name: "copy-leaf2", ack_policy: "none" };
  expect((await create({ stream_name: "CIM_EVENTS", config })).name).toBe("copy-leaf1");
  await expect(create({ stream_name: "CIM_OTHER", config })).rejects.toThrow(/10056/);
});

test("the hub asks, the leaf answers under its own name; into the hub's inbox it cannot", async () => {
  leaf.subscribe(statusSubject("leaf1"), { callback: (_, msg) => void msg.respond("fine") });
  const answer = await eventually(() =>
    askNode(hub, "leaf1", statusSubject("leaf1"), "", { timeoutMs: 500 }),
  );
  expect(answer.string()).toBe("fine");
  expect(answer.subject).toMatch(/^cim\.node\.leaf1\.reply\./);
  await expect(hub.request(statusSubject("leaf1"), "", { timeout: 300 })).rejects.toThrow(/timeout/);
});

test("an event published on either side stays there, and is stored once", async () => {
  for (const [nc, server] of [
    [hub, fleet.config("hub")],
    [leaf, fleet.config("leaf1")],
  ] as const) {
    await createStream(nc, { name: "CIM_OUTBOX", subjects: ["cim.events.>"] });
    const app = await fleet.connect(server.node, "app");
    const { stream, domain } = (
      await app.request("cim.events.person.PersonCreated", "{}", { timeout: 20_000 })
    ).json<{
      stream: string;
      domain: string;
    }>();
    expect({ stream, domain }).toEqual({ stream: "CIM_OUTBOX", domain: server.node });
  }
  for (const nc of [hub, leaf]) {
    const info = await jetStreamApi<{ state: { messages: number } }>(nc, "STREAM.INFO.CIM_OUTBOX", undefined);
    expect(info.state.messages).toBe(1);
  }
});

test.each([
  ["publishes under another's name", "cim.ingest.leaf1"],
  ["writes the log", "cim.log.person.X"],
  ["answers for another", "_INBOX.hub.abc"],
  ["deletes the log", "$JS.hub.API.STREAM.DELETE.CIM_EVENTS"],
])("the hub itself judges: a leaf that keeps no rule and %s is cut off", async (_, subject) => {
  const { seed } = await ensureSeedFile(fleet.config("leaf2").nats.linkSeedFile);
  await fleet.server("leaf2").stop();
  const heard: string[] = [];
  for (const all of ["cim.>", "_INBOX.>"]) {
    hub.subscribe(all, { callback: (_error, msg) => void heard.push(msg.subject) });
  }
  await hub.flush();
  using raw = await linkRawLeaf(fleet.leafPort, "leaf2", seed);
  raw.send("LMSG cim.ingest.leaf2 2\r\nok\r\n");
  await eventually(() => heard.includes("cim.ingest.leaf2"), { what: "its own block" });
  raw.send(`LMSG ${subject} 2\r\nhi\r\n`);
  await eventually(() => raw.closed, { what: "the hub to cut the link off" });
  expect(raw.heard).toMatch(/-ERR '?Permissions Violation/i);
  expect(heard).not.toContain(subject);
  await jetStreamApi(hub, "STREAM.INFO.CIM_EVENTS", undefined);
});

test("no key, or one that is not listed, links nowhere", async () => {
  const { seed } = createUserKey();
  using raw = await linkRawLeaf(fleet.leafPort, "leaf2", seed);
  await eventually(() => raw.closed);
  expect(raw.heard).toMatch(/Authorization Violation/i);
});

test("a leaf that is added by a reload links while others stay linked", async () => {
  const sys = await fleet.connect("hub", "sys");
  const { publicKey, seed } = createUserKey();
  const config = fleet.config("hub");
  const leaves = [...config.leaves, { name: "leaf3", publicKey }];
  await writeServerConfig({ ...config, leaves });
  const linkOfLeaf1 = async () => {
    const { leafs } = (await (await fetch(`${fleet.hub.monitorUrl}/leafz`)).json()) as {
      leafs: { name: string; id: number }[];
    };
    return leafs.find(({ name }) => name === "leaf1")?.id;
  };
  const before = await linkOfLeaf1();
  expect(before).toEqual(expect.any(Number));
  await reloadServer(sys);
  using raw = await linkRawLeaf(fleet.leafPort, "leaf3", seed);
  expect(raw.closed).toBe(false);
  await leaf.request("cim.coordinator.leaf1.ready", "", { timeout: 20_000 });
  expect(await linkOfLeaf1()).toBe(before);
});

async function createStream(nc: NatsConnection, config: { name: string; subjects: string[] }): Promise<void> {
  await jetStreamApi(nc, `STREAM.CREATE.${config.name}`, { allow_direct: true, ...config });
}
