import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AckPolicy, DeliverPolicy, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { checkServerConfig } from "../../shared/nats/check-server-config.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { createUserKey } from "../../shared/nats/nkeys.ts";
import { findServerBinary } from "../../shared/nats/server-binary.ts";
import { reloadServer } from "../../shared/nats/server-control.ts";
import { eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { writeServerConfig } from "../../shared/nats/write-server-config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** The configured users of programs, on a real server that takes nobody without credentials. */

const PASSWORD = "correct horse";
const HASH = "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";

const keys = {
  app: createUserKey(),
  "cim-events": createUserKey(),
  "cim-commands": createUserKey(),
  "cim-queries": createUserKey(),
  "cim-sagas": createUserKey(),
};
type Name = keyof typeof keys;

let dir: TempDir;
let fleet: NatsFleet;
let agent: NatsConnection;

beforeAll(async () => {
  dir = await tempDir("cim-users-");
  const passwordHashFile = join(dir.path, "events.bcrypt");
  await writeFile(passwordHashFile, `${HASH}\n`, { mode: 0o600 });
  const users = (Object.keys(keys) as Name[]).map((name) => ({ name, publicKey: keys[name].publicKey }));
  fleet = await startNatsFleet({
    leaves: ["leaf1"],
    notStarted: ["leaf1"],
    configure: (config) => ({
      ...config,
      nats: {
        ...config.nats,
        anonymousApp: false,
        users: [...users, { name: "cim-events", passwordHashFile }],
      },
    }),
  });
  agent = await fleet.connect("hub", "agent");
  const limits = { maxBytes: 64 * 1024 * 1024, maxPayload: 8 * 1024 * 1024 };
  await jetStreamApi(agent, "STREAM.CREATE.CIM_OUTBOX", outboxStream(limits));
  await jetStreamApi(agent, "STREAM.CREATE.CIM_EVENTS", eventsStream({ maxBytes: null }));
  await agent.request("cim.log.person.ada.PersonCreated", "one", { timeout: 20_000 });
  await agent.request("cim.log.orders.7.OrderPlaced", "two", { timeout: 20_000 });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await dir?.[Symbol.asyncDispose]();
});

const as = (name: Name) => fleet.connect("hub", "app", { seed: keys[name].seed });

/** Which of the subjects the server refuses this user, by its own words. Published with an empty body. */
async function refusedOf(nc: NatsConnection, subjects: readonly string[]): Promise<string[]> {
  const refused = new Set<string>();
  const status = nc.status();
  void (async () => {
    for await (const { type, ...rest } of status) {
      const { error } = rest as { error?: Error };
      if (type === "error" && error instanceof PermissionViolationError) refused.add(error.subject);
    }
  })();
  for (const subject of subjects) nc.publish(subject);
  // Errors come in the order of what caused them: when that of the last one is here, all are.
  nc.publish("not.for.anybody");
  await eventually(() => refused.has("not.for.anybody"), { what: "the last refusal" });
  return subjects.filter((subject) => refused.has(asJudged(subject)));
}

/** What the server looks at: a command is mapped first. */
const asJudged = (subject: string): string =>
  subject.replace(/^cim\.commands\./, "cim.coordinator.hub.commands.");

const NOBODYS = [
  "cim.log.person.ada.Forged",
  "cim.events._cim.reign",
  "cim.ingest.hub",
  "cim.commit.hub.orders.a.Placed",
  "cim.coordinator.hub.enroll",
  "cim.node.hub.heartbeat",
  "cim.node.hub.control.stop",
  "cim.refused.x.person.ada.PersonCreated",
  "_INBOX.hub.abc",
  "_INBOX.somebody",
  "$KV.CIM_CONTROL.lease",
  "$SYS.REQ.SERVER.PING",
  ...["CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE"].map(
    (verb) => `$JS.API.STREAM.${verb}.CIM_EVENTS`,
  ),
  ...["DELETE", "PURGE", "UPDATE"].map((verb) => `$JS.API.STREAM.${verb}.CIM_OUTBOX`),
  "$JS.API.STREAM.MSG.DELETE.CIM_EVENTS",
  "$JS.API.STREAM.MSG.DELETE.CIM_OUTBOX",
  ...["DELETE", "PURGE", "UPDATE", "MSG.DELETE"].map((verb) => `$JS.API.STREAM.${verb}.CIM_READERS`),
  "$JS.API.STREAM.CREATE.MINE",
  "$JS.API.CONSUMER.CREATE.OTHER.mine",
  "$JS.API.CONSUMER.PAUSE.CIM_EVENTS.mine",
  "$JS.API.CONSUMER.DELETE.CIM_EVENTS.copy-leaf1",
  "$JS.API.CONSUMER.CREATE.CIM_EVENTS.copy-leaf1",
  "$JS.API.CONSUMER.CREATE.CIM_EVENTS.fill-leaf1.cim.events.person.>",
  "$JS.API.CONSUMER.DURABLE.CREATE.CIM_EVENTS.copy-leaf1",
  "$JS.API.CONSUMER.MSG.NEXT.CIM_EVENTS.copy-leaf1",
];
const TALK = ["cim.commands.person.Rename", "cim.queries.person.ById", "cim.sagas.order.Started"] as const;
const APPEND = "cim.events.person.ada.PersonCreated";
const READ = [
  "$JS.API.STREAM.INFO.CIM_EVENTS",
  "$JS.API.CONSUMER.CREATE.CIM_EVENTS.mine",
  "$JS.API.CONSUMER.MSG.NEXT.CIM_EVENTS.mine",
  "$JS.API.DIRECT.GET.CIM_OUTBOX",
  "cim.readers.billing",
  "$JS.API.STREAM.INFO.CIM_READERS",
  "$JS.API.DIRECT.GET.CIM_READERS",
];
const MORE = ["cim.replay.test.x", "$JS.API.STREAM.INFO.CIM_REFUSED", "$JS.API.STREAM.INFO.KV_CIM_NODES"];

test.each<[Name, readonly string[]]>([
  ["app", [APPEND, ...READ, ...TALK, ...MORE]],
  ["cim-events", [APPEND, ...READ]],
  ["cim-commands", [TALK[0]]],
  ["cim-queries", [TALK[1]]],
  ["cim-sagas", [TALK[2]]],
])("%s may publish what it is for, and nothing else", async (name, allowed) => {
  const all = [APPEND, ...READ, ...TALK, ...MORE, ...NOBODYS];
  const refused = await refusedOf(await as(name), all);
  expect(all.filter((subject) => !refused.includes(subject))).toEqual(allowed);
  const { state } = await jetStreamApi<{ state: { messages: number } }>(
    agent,
    "STREAM.INFO.CIM_EVENTS",
    undefined,
  );
  expect(state.messages).toBe(2);
});

test.each<[Name, readonly string[]]>([
  ["cim-events", ["cim.events.>"]],
  ["cim-commands", ["cim.commands.>", "cim.node.hub.commands.>"]],
  ["cim-queries", ["cim.queries.>"]],
  ["cim-sagas", ["cim.sagas.>"]],
])("%s may listen to its own subjects, and not to daemons", async (name, allowed) => {
  const nc = await as(name);
  const all = ["cim.events.>", "cim.commands.>", "cim.node.hub.commands.>", "cim.queries.>", "cim.sagas.>"];
  const refused = new Set<string>();
  for (const subject of [
    ...all,
    "cim.log.>",
    "cim.ingest.>",
    "cim.node.>",
    "cim.>",
    ">",
    "_INBOX.hub.>",
    "last",
  ]) {
    nc.subscribe(subject, { callback: (error) => void (error && refused.add(subject)) });
  }
  await eventually(() => refused.has("last"));
  expect(all.filter((subject) => !refused.has(subject))).toEqual(allowed);
  expect([...refused]).toEqual(
    expect.arrayContaining(["cim.log.>", "cim.ingest.>", "cim.node.>", "cim.>", ">", "_INBOX.hub.>"]),
  );
  const heard: string[] = [];
  nc.subscribe("_INBOX.>", { callback: (_, message) => void heard.push(message.subject) });
  await nc.flush();
  for (const subject of ["_INBOX.hub.secret", "_INBOX.leaf1.secret", "_INBOX.other"]) agent.publish(subject);
  await eventually(() => heard.includes("_INBOX.other"));
  expect(heard).toEqual(["_INBOX.other"]);
});

describe("cim-events", () => {
  test("appends, and reads the log with a durable consumer of its own", async () => {
    const nc = await as("cim-events");
    const manager = await jetstreamManager(nc);
    const js = manager.jetstream();
    const { stream, duplicate } = await js.publish(APPEND, "{}", { msgID: "once" });
    expect({ stream, duplicate }).toEqual({ stream: "CIM_OUTBOX", duplicate: false });
    expect((await js.publish(APPEND, "{}", { msgID: "once" })).duplicate).toBe(true);
    await manager.consumers.add("CIM_EVENTS", {
      durable_name: "billing",
      filter_subject: "cim.events.orders.>",
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
    });
    const consumer = await js.consumers.get("CIM_EVENTS", "billing");
    const message = await consumer.next({ expires: 30_000 });
    expect(message?.subject).toBe("cim.events.orders.7.OrderPlaced");
    expect(await message?.ackAck()).toBe(true);
    expect(await consumer.next({ expires: 1_000 })).toBeNull();
    expect(await consumer.delete()).toBe(true);
    // An ordered consumer, which is made and made again without a name of the user's.
    const ordered = await (await js.consumers.get("CIM_EVENTS")).next({ expires: 30_000 });
    expect(ordered?.subject).toBe("cim.events.person.ada.PersonCreated");
    expect(await manager.streams.getMessage("CIM_EVENTS", { seq: 2 })).toMatchObject({ seq: 2 });
  });

  test("reads own events and the log's as one stream, also on a hub", async () => {
    await using cim = await connectCim({ url: fleet.hub.url, seed: keys["cim-events"].seed });
    const { id } = await cim.append({ domain: "merged", type: "Appended" });
    const signal = AbortSignal.timeout(60_000);
    const ids: string[] = [];
    for await (const event of cim.subscribe({ from: "start", domain: "merged", signal })) {
      ids.push(event.id);
      break;
    }
    expect(ids).toEqual([id]);
  });

  test("cannot take a leaf's consumer under another subject of the API", async () => {
    const nc = await as("cim-events");
    const config = { name: "copy-leaf1", durable_name: "copy-leaf1", ack_policy: "none" };
    for (const request of ["CONSUMER.CREATE.CIM_EVENTS", "CONSUMER.CREATE.CIM_EVENTS.mine"]) {
      await jetStreamApi(nc, request, { stream_name: "CIM_EVENTS", config }).catch(() => undefined);
    }
    const { consumers } = await jetStreamApi<{ consumers: string[] }>(agent, "CONSUMER.NAMES.CIM_EVENTS", {});
    expect(consumers).not.toContain("copy-leaf1");
  });

  test("connects by password too; the password and a wrong one are in no file, the hash only in its own", async () => {
    const { url } = fleet.config("hub").nats;
    const nc = await connect({ servers: url, user: "cim-events", pass: PASSWORD });
    expect(await refusedOf(nc, [APPEND, TALK[0]])).toEqual([TALK[0]]);
    await nc.close();
    await expect(connect({ servers: url, user: "cim-events", pass: HASH })).rejects.toThrow(/authorization/i);
    await expect(connect({ servers: url, user: "cim-events", pass: "guess" })).rejects.toThrow(
      /authorization/i,
    );
    await expect(connect({ servers: url })).rejects.toThrow(/authorization/i);
    const { dataDir } = fleet.config("hub");
    const found: string[] = [];
    for (const file of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const path = join(file.parentPath, file.name);
      const bytes = await readFile(path);
      expect(bytes.includes(PASSWORD), path).toBe(false);
      if (bytes.includes(HASH)) found.push(file.name);
      for (const { seed } of Object.values(keys)) expect(bytes.includes(seed), path).toBe(false);
    }
    expect(found).toEqual(["user-cim-events.conf"]);
    expect((await stat(join(dataDir, "user-cim-events.conf"))).mode & 0o777).toBe(0o600);
    expect(await fleet.hub.log()).not.toMatch(/plaintext/i);
  });
});

test("a user that is added or taken out by a reload cuts off no other", async () => {
  const config = fleet.config("hub");
  const sys = await fleet.connect("hub", "sys");
  const nc = await as("cim-events");
  const statuses: string[] = [];
  void (async () => {
    for await (const { type } of nc.status()) statuses.push(type);
  })();
  const added = createUserKey();
  const connectAdded = () => fleet.connect("hub", "app", { seed: added.seed });
  await expect(connectAdded()).rejects.toThrow(/refuses/);
  const users = [...(config.nats.users ?? []), { name: "cim-queries" as const, publicKey: added.publicKey }];
  await writeServerConfig({ ...config, nats: { ...config.nats, users } });
  await reloadServer(sys);
  expect(await refusedOf(await connectAdded(), [TALK[1], APPEND])).toEqual([APPEND]);
  await writeServerConfig(config);
  await reloadServer(sys);
  await expect(connectAdded()).rejects.toThrow(/refuses/);
  await nc.request(APPEND, "{}", { timeout: 20_000 });
  for (const cut of ["disconnect", "reconnecting", "reconnect", "close"]) expect(statuses).not.toContain(cut);
});

test("a user that is taken out leaves no hash, and what is no hash is refused in one line", async () => {
  const folder = join(dir.path, "again");
  await mkdir(folder);
  const config = fleet.config("hub");
  await writeServerConfig(config, folder);
  expect(await readdir(folder)).toContain("user-cim-events.conf");
  const without = { ...config, nats: { ...config.nats, users: [] } };
  const path = await writeServerConfig(without, folder);
  expect(await readdir(folder)).not.toContain("user-cim-events.conf");
  await checkServerConfig((await findServerBinary()).path, path);
  const withFile = (file: string) => ({
    ...config,
    nats: { ...config.nats, users: [{ name: "cim-events" as const, passwordHashFile: file }] },
  });
  const plain = join(dir.path, "plain");
  await writeFile(plain, PASSWORD, { mode: 0o600 });
  await expect(writeServerConfig(withFile(plain), folder)).rejects.toThrow(
    /^\S+plain does not hold a bcrypt hash [^\n]+$/,
  );
  await expect(writeServerConfig(withFile(plain), folder)).rejects.not.toThrow(PASSWORD);
  const open = join(dir.path, "open");
  await writeFile(open, HASH, { mode: 0o644 });
  await expect(writeServerConfig(withFile(open), folder)).rejects.toThrow(/everybody can read it: chmod 600/);
  await expect(writeServerConfig(withFile(join(dir.path, "gone")), folder)).rejects.toThrow(
    /^cannot read the password hash \S+gone: /,
  );
});
