import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { parseConfig } from "../../shared/config/index.ts";
import { checkServerConfig, ServerConfigError } from "../../shared/nats/check-server-config.ts";
import { findServerBinary } from "../../shared/nats/server-binary.ts";
import { type WritableServerConfig, writeServerConfig } from "../../shared/nats/write-server-config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { withTempDir } from "../support/temp-dir.ts";

const LEAF_KEY = "UCAAGLK75GK4RZWGS2EMKPYIRPN4XUZRUJEJZISZIKLY6IYOPQ6RUSJZ";

test.each([
  ["hub", { nats: { leafListen: "127.0.0.1:7422" }, leaves: [{ name: "leaf1", publicKey: LEAF_KEY }] }],
  ["hub", { nats: { leafListen: null, monitor: null, anonymousApp: false, syncInterval: "10s" } }],
  ["leaf", { nats: { hubs: ["nats-leaf://10.0.0.1:7422"] } }],
  ["leaf", { nats: { hubs: ["nats-leaf://a:1", "nats-leaf://b:2"] }, heartbeat: { preset: "satellite" } }],
])("what a %s's configuration renders to, nats-server accepts: %j", async (role, over) => {
  await withTempDir(async (dir) => {
    const dataDir = join(dir, 'a folder "of" $HOME, ünusual');
    const config: WritableServerConfig = parseConfig({ node: "n1", role, dataDir, ...over });
    const path = await writeServerConfig(config);
    await checkServerConfig((await findServerBinary()).path, path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    expect(await readFile(path, "utf8")).toContain('ünusual/nats"');
  });
});

test("a configuration that nats-server refuses is one line: which file, where, what", async () => {
  await withTempDir(async (dir) => {
    const binary = (await findServerBinary()).path;
    const path = join(dir, "bad.conf");
    const fault = async (text: string) => {
      await writeFile(path, text);
      const error = await checkServerConfig(binary, path).catch((e: Error) => e);
      expect(error).toBeInstanceOf(ServerConfigError);
      expect((error as Error).message).not.toContain("\n");
      return (error as Error).message;
    };
    expect(await fault("port: 4222\nnonsense: 1\nmore: 2\n")).toMatch(
      new RegExp(`^${path}: line \\d:\\d+: unknown field "(nonsense|more)" \\(and 1 more\\)$`),
    );
    expect(await fault("accounts {")).toMatch(/bad\.conf: .*Unexpected EOF/);
    expect(await fault('leafnodes { remotes: [ { include "gone.conf" } ] }')).toContain("gone.conf");
  });
});

test("the server stores where it was told, in the domain of its node", async () => {
  await withTempDir(async (dir) => {
    const dataDir = join(dir, "data $X");
    await mkdir(dataDir);
    const url = `nats://127.0.0.1:${await freePort()}`;
    const nats = { url, monitor: `127.0.0.1:${await freePort()}` };
    const config = parseConfig({ node: "n1", role: "hub", dataDir, nats });
    const path = await writeServerConfig(config);
    await using server = await startNatsServer({ dir: dataDir, config: await readFile(path, "utf8") });
    expect(server.url).toBe(url);
    const jsz = (await (await fetch(`${server.monitorUrl}/jsz`)).json()) as {
      config: Record<string, unknown>;
    };
    expect(jsz.config).toMatchObject({
      store_dir: join(dataDir, "nats", "jetstream"),
      domain: "n1",
      sync_always: true,
      max_storage: config.nats.maxFile,
      max_memory: config.nats.maxMemory,
    });
    // A busy machine is no fault of the configuration.
    const complaints = (await server.log()).split("\n").filter((line) => /\[(WRN|ERR)\]/.test(line));
    expect(complaints.filter((line) => !/took too long|processing time|slow/i.test(line))).toEqual([]);
  });
});

test("programs append, ask, answer and read; they cannot write the log or speak as a daemon", async () => {
  await using fleet = await startNatsFleet({ leaves: [] });
  const agent = await fleet.connect("hub", "agent");
  const app = await fleet.connect("hub", "app");
  const other = await fleet.connect("hub", "app");
  const jsm = await jetstreamManager(agent);
  await jsm.streams.add({ name: "CIM_OUTBOX", subjects: ["cim.events.>"], allow_direct: true });
  await jsm.streams.add({ name: "CIM_EVENTS", subjects: ["cim.log.>"], allow_direct: true });

  // Append and read, as any NATS client does.
  expect(
    (await app.request("cim.events.person.PersonCreated", "{}", { timeout: 20_000 })).json(),
  ).toMatchObject({ seq: 1 });
  const appManager = await jetstreamManager(app);
  expect((await appManager.streams.info("CIM_OUTBOX")).state.messages).toBe(1);
  expect(await appManager.streams.getMessage("CIM_OUTBOX", { seq: 1 })).toMatchObject({ seq: 1 });
  const consumer = await appManager.jetstream().consumers.get("CIM_OUTBOX");
  const message = await consumer.next({ expires: 30_000 });
  expect(message?.subject).toBe("cim.events.person.PersonCreated");
  await appManager.consumers.add("CIM_OUTBOX", { durable_name: "mine", ack_policy: "explicit" as never });
  const durable = await (await appManager.jetstream().consumers.get("CIM_OUTBOX", "mine")).next();
  expect(await durable?.ackAck()).toBe(true);
  await appManager.consumers.delete("CIM_OUTBOX", "mine");

  // Ask and answer.
  other.subscribe("cim.queries.person.ById", { callback: (_, msg) => void msg.respond("found") });
  other.subscribe("cim.node.hub.commands.>", { callback: (_, msg) => void msg.respond("done") });
  await other.flush();
  expect((await app.request("cim.queries.person.ById", "", { timeout: 20_000 })).string()).toBe("found");
  expect((await agent.request("cim.node.hub.commands.person.Rename", "", { timeout: 20_000 })).string()).toBe(
    "done",
  );

  const refused = refusals(app);
  const heard: string[] = [];
  agent.subscribe(">", { callback: (_, msg) => void heard.push(msg.subject) });
  await agent.flush();
  const forbidden = [
    "cim.log.person.PersonCreated",
    "cim.events._cim.reign",
    "cim.ingest.hub",
    "cim.commit.hub.orders.a.Placed",
    "cim.coordinator.hub.enroll",
    "cim.node.hub.heartbeat",
    "cim.node.hub.control.stop",
    "cim.refused.x.person.PersonCreated",
    "_INBOX.hub.abc",
    "$KV.CIM_CONTROL.lease",
    "$JS.API.STREAM.DELETE.CIM_OUTBOX",
    "$JS.API.STREAM.PURGE.CIM_EVENTS",
    "$JS.API.STREAM.UPDATE.CIM_EVENTS",
    "$JS.API.STREAM.MSG.DELETE.CIM_OUTBOX",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.RESTORE.MINE",
    "$JS.API.STREAM.SNAPSHOT.CIM_EVENTS",
    "$JS.API.CONSUMER.CREATE.OTHER.x",
  ];
  for (const subject of forbidden) app.publish(subject);
  await app.flush();
  await eventually(() => refused.length >= forbidden.length, { what: "a refusal of each" });
  expect(heard.filter((subject) => forbidden.includes(subject))).toEqual([]);
  expect((await jsm.streams.info("CIM_OUTBOX")).state.messages).toBe(1);

  // Listening: not to daemons, neither by name nor by wildcard.
  const overheard: string[] = [];
  app.subscribe("_INBOX.>", { callback: (_, msg) => void overheard.push(msg.subject) });
  for (const subject of ["cim.log.>", "cim.ingest.>", "cim.>", ">", "_INBOX.hub.>"]) {
    app.subscribe(subject, { callback: (_, msg) => msg && void overheard.push(msg.subject) });
  }
  await app.flush();
  agent.publish("_INBOX.hub.secret");
  agent.publish("cim.ingest.hub");
  agent.publish("_INBOX.someone");
  await agent.flush();
  await eventually(() => overheard.includes("_INBOX.someone"));
  expect(overheard.filter((subject) => /hub/.test(subject))).toEqual([]);
});

test("anonymous programs only where they are wanted", async () => {
  await using fleet = await startNatsFleet({
    leaves: [],
    configure: (config) => ({ ...config, nats: { ...config.nats, anonymousApp: false } }),
  });
  await expect(fleet.connect("hub", "app")).rejects.toThrow(/refuses clients without credentials/);
  await (await fleet.connect("hub", "agent")).flush();
});

test("the daemon's two users see their own account only", async () => {
  await using fleet = await startNatsFleet({ leaves: [] });
  const sys = await fleet.connect("hub", "sys");
  const agent = await fleet.connect("hub", "agent");
  await sys.request("$SYS.REQ.SERVER.PING.HEALTHZ", "", { timeout: 20_000 });
  // In CIM this asks for the account's own view; another server's health is not to be had.
  await expect(agent.request("$SYS.REQ.SERVER.PING.HEALTHZ", "", { timeout: 300 })).rejects.toThrow();
  await expect(jetstreamManager(sys)).rejects.toThrow(/not enabled for account/);
});

function refusals(nc: NatsConnection): string[] {
  const list: string[] = [];
  void (async () => {
    for await (const status of nc.status()) if (status.type === "error") list.push(status.error.message);
  })();
  return list;
}
