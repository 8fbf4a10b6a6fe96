import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ContestedNames } from "../../shared/nats/contested-names.ts";
import type { LinkChange } from "../../shared/nats/link-table.ts";
import { LinkWatch } from "../../shared/nats/link-watch.ts";
import { LINK_REMOTE_FILE } from "../../shared/nats/server-config.ts";
import { kickConnection } from "../../shared/nats/server-control.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

let fleet: NatsFleet;
const watches: LinkWatch[] = [];

beforeEach(async () => {
  fleet = await startNatsFleet({ leaves: ["leaf1", "leaf2"] });
});

afterEach(async () => {
  for (const watch of watches.splice(0)) await watch[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

/** Refreshes so rarely that only events can have told. */
async function watchLinks(node: string, refreshMs = 600_000) {
  const changes: LinkChange[] = [];
  const nc = await fleet.connect(node, "sys");
  const watch = await new LinkWatch({ nc, refreshMs, onChange: (change) => changes.push(change) }).start();
  watches.push(watch);
  const said = (kind: "up" | "down", name: string) =>
    changes.filter((change) => change.kind === kind && change.link.name === name).length;
  return { watch, nc, changes, said };
}

test("at its start it knows the links that are up, on both ends", async () => {
  const leaf = await watchLinks("leaf1");
  const hub = await watchLinks("hub");
  await eventually(() => hub.watch.links.length === 2 && leaf.watch.links.length === 1);
  expect(hub.watch.links.map((link) => link.name).sort()).toEqual(["leaf1", "leaf2"]);
  expect(leaf.watch.link()).toMatchObject({ name: "hub", publicKey: null });
  expect(leaf.watch.link("other")).toBeUndefined();
});

test("a leaf's server that ends and comes back: down and up on the hub, proved by its key", async () => {
  const hub = await watchLinks("hub");
  await eventually(() => hub.watch.link("leaf1"));
  await fleet.server("leaf1").kill();
  await eventually(() => hub.said("down", "leaf1") > 0);
  expect(hub.watch.link("leaf1")).toBeUndefined();
  expect(hub.watch.link("leaf2")).toBeDefined();
  await fleet.server("leaf1").restart();
  const link = await eventually(() => hub.watch.link("leaf1"));
  const listed = fleet.config("hub").leaves.find((leaf) => leaf.name === "leaf1");
  expect(link.publicKey).toBe(listed?.publicKey);
  expect(hub.said("down", "leaf2")).toBe(0);
});

test("a hub that ends and comes back: down and up on the leaf, with the hub's name", async () => {
  const leaf = await watchLinks("leaf1");
  await eventually(() => leaf.watch.link("hub"));
  for (const round of [1, 2]) {
    await fleet.hub.kill();
    await eventually(() => leaf.said("down", "hub") >= round);
    expect(leaf.watch.link()).toBeUndefined();
    await fleet.hub.restart();
    await eventually(() => leaf.watch.link("hub"));
  }
});

test("a hub that is silent: down after its pings, up when it speaks again", async () => {
  const leaf = await watchLinks("leaf1");
  await eventually(() => leaf.watch.link("hub"));
  fleet.hub.pause();
  await eventually(() => leaf.said("down", "hub") > 0);
  fleet.hub.resume();
  await eventually(() => leaf.watch.link("hub"));
});

test("a link thrown out comes back as another connection, each change told on both ends", async () => {
  const hub = await watchLinks("hub");
  const leaf = await watchLinks("leaf1");
  const before = await eventually(() => hub.watch.link("leaf1"));
  await eventually(() => leaf.watch.link("hub"));
  await kickConnection(hub.nc, before.cid);
  await eventually(() => (hub.watch.link("leaf1")?.cid ?? 0) > before.cid);
  await eventually(() => leaf.said("down", "hub") > 0 && leaf.watch.link("hub"));
  expect(hub.said("down", "leaf1")).toBe(1);
});

test("the own server restarted: all its links down, then up again", async () => {
  const hub = await watchLinks("hub");
  await eventually(() => hub.watch.links.length === 2);
  await fleet.hub.kill();
  await eventually(() => hub.watch.links.length === 0);
  await fleet.hub.restart();
  await eventually(() => hub.watch.links.length === 2);
  for (const name of ["leaf1", "leaf2"]) {
    expect(hub.said("down", name)).toBe(1);
    expect(hub.said("up", name)).toBe(2);
  }
});

test("a leaf's own server restarted: its link is known again although nobody heard it come up", async () => {
  // The server dials its hub before a client can be back.
  const leaf = await watchLinks("leaf1");
  await eventually(() => leaf.watch.link("hub"));
  await fleet.server("leaf1").kill();
  await eventually(() => leaf.watch.link() === undefined);
  await fleet.server("leaf1").restart();
  await eventually(() => leaf.watch.link("hub"));
});

test("round trips come with the list", async () => {
  const hub = await watchLinks("hub", 50);
  await eventually(() => {
    const rttMs = hub.watch.link("leaf1")?.rttMs;
    return typeof rttMs === "number" && rttMs > 0 && rttMs < 10_000;
  });
});

test("two nodes of one name are found out by how they throw each other out", async () => {
  const contested = new ContestedNames();
  const nc = await fleet.connect("hub", "sys");
  const onChange = (change: LinkChange) => contested.observe(change);
  const watch = await new LinkWatch({ nc, onChange }).start();
  watches.push(watch);
  await eventually(() => watch.links.length === 2);
  expect(contested.names(Date.now())).toEqual([]);
  const { dataDir } = fleet.config("leaf1");
  await using dir = await tempDir();
  await copyFile(join(dataDir, LINK_REMOTE_FILE), join(dir.path, LINK_REMOTE_FILE));
  const config = (await readFile(fleet.server("leaf1").configFile, "utf8"))
    .replace(/^(listen|http): .*\n/gm, "")
    .replaceAll(dataDir, dir.path);
  await using _twin = await startNatsServer({ config, dir: dir.path });
  await eventually(() => contested.names(Date.now()).includes("leaf1"));
  expect(contested.names(Date.now())).toEqual(["leaf1"]);
});

test("a listener that throws spoils nothing", async () => {
  const nc = await fleet.connect("hub", "sys");
  const onChange = () => {
    throw new Error("mine");
  };
  const watch = await new LinkWatch({ nc, onChange }).start();
  watches.push(watch);
  await eventually(() => watch.links.length === 2);
  await fleet.server("leaf1").kill();
  await eventually(() => watch.links.length === 1);
  await nc.flush();
});
