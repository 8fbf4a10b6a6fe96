import { expect, it } from "vitest";
import { Coordinator } from "../../coordinator/coordinator.ts";
import type { FleetNode } from "../../coordinator/fleet/fleet.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { ConsulAgent, listInConsul } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

/** A coordinator in this process, on a real nats-server; `get` asks its API. */
async function startHub(first: ConfigDocument["discovery"]) {
  const nats = await startNatsFleet({ leaves: [] });
  const http = `127.0.0.1:${await freePort()}`;
  const outbox = { maxBytes: 64 * 1024 * 1024 };
  const config = (discovery: ConfigDocument["discovery"]) => {
    const { node, role, dataDir, nats: server } = nats.config("hub");
    return derive(configDocument.parse({ node, role, dataDir, nats: server, http, outbox, discovery }));
  };
  const coordinator = await new Coordinator(config(first)).start();
  const get = async <T>(path: string) => (await (await fetch(`http://${http}/api/v1/${path}`)).json()) as T;
  return {
    get,
    reload: (discovery: ConfigDocument["discovery"]) => coordinator.reload(config(discovery)),
    /** Names of the nodes that a source lists. */
    async listedBy(source: string): Promise<string> {
      const { nodes } = await get<{ nodes: FleetNode[] }>("nodes");
      const listed = nodes.filter(({ sources }) => sources.includes(source));
      return listed
        .map(({ name }) => name)
        .sort()
        .join();
    },
    async [Symbol.asyncDispose]() {
      await coordinator[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

it("static nodes are in the fleet from the start, and change with a reload", async () => {
  const first = { name: "leaf7", url: "nats://127.0.0.27:4222", region: "eu", capabilities: ["gpu"] };
  await using hub = await startHub({ staticNodes: [first] });
  expect(await hub.get("nodes/leaf7")).toMatchObject({
    url: first.url,
    region: "eu",
    capabilities: ["gpu"],
    sources: ["static"],
    said: [{ source: "static", url: first.url, region: "eu", capabilities: ["gpu"] }],
  });
  expect(await hub.get("discovery")).toMatchObject({
    sources: [{ source: "static", state: "answering", nodes: 1, withheld: [] }],
  });
  await hub.reload({ staticNodes: [{ name: "leaf8", url: "nats://127.0.0.28:4222" }] });
  await eventually(async () => (await hub.listedBy("static")) === "leaf8");
  // Who empties the list by hand means it.
  await hub.reload({ staticNodes: [] });
  await eventually(async () => (await hub.listedBy("static")) === "");
});

it("a catalogue is asked beside the list; its end, and its emptiness, take nobody away", async () => {
  await using consul = await ConsulAgent.start();
  const url = "nats://127.0.0.27:4222";
  const leaves = [1, 2, 3].map((n) => ({ name: `leaf${n}`, url, region: "eu", capabilities: ["gpu"] }));
  const listed = new Set<string>();
  await listInConsul(consul.address, leaves, listed);
  const staticNodes = [{ name: "leaf1", url, region: "us" }];
  const methods = ["static" as const, "consul" as const];
  const settings = { methods, staticNodes, consulAddr: consul.address, consulRegister: true };
  await using hub = await startHub(settings);
  // The hub enters itself.
  await eventually(async () => (await hub.listedBy("consul")) === "hub,leaf1,leaf2,leaf3");
  expect(await hub.get("nodes/leaf1")).toMatchObject({
    region: "us",
    capabilities: ["gpu"],
    said: [
      { source: "static", region: "us", capabilities: [] },
      { source: "consul", region: "eu", capabilities: ["gpu"] },
    ],
  });
  const consulIs = async (state: object) => {
    const { sources } = await hub.get<{ sources: { source: string }[] }>("discovery");
    expect(sources.find(({ source }) => source === "consul")).toMatchObject(state);
    return true;
  };
  const isTold = async (code: string) => {
    const { conditions } = await hub.get<{ conditions: { code: string }[] }>("status");
    return conditions.some((one) => one.code === code);
  };

  for (const { ID } of consul.services) {
    await fetch(`http://${consul.address}/v1/agent/service/deregister/${ID}`, { method: "PUT" });
  }
  await eventually(() => isTold("discovery-shrunk"));
  expect(await hub.listedBy("consul")).toBe("hub,leaf1,leaf2,leaf3");

  await consul.stop();
  await eventually(() => consulIs({ state: "outage", reason: expect.stringContaining("ECONNREFUSED") }));
  await eventually(() => isTold("discovery-outage"));
  expect(await hub.listedBy("consul")).toBe("hub,leaf1,leaf2,leaf3");

  await consul.listen();
  listed.clear();
  await listInConsul(consul.address, leaves, listed);
  await eventually(() => consulIs({ state: "answering" }));
  await eventually(async () => !(await isTold("discovery-outage")));

  // Who no longer asks a source does not believe it either.
  await hub.reload({ ...settings, methods: ["static"] });
  await eventually(async () => (await hub.listedBy("consul")) === "");
});
