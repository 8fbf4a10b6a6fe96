import { expect, it } from "vitest";
import { ConsulAgent, listInConsul } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { startHubCoordinator } from "../support/hub-coordinator.ts";

it("static nodes are in the fleet from the start, and change with a reload", async () => {
  const first = { name: "leaf7", url: "nats://127.0.0.27:4222", region: "eu", capabilities: ["gpu"] };
  await using hub = await startHubCoordinator({ discovery: { staticNodes: [first] } });
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
  await hub.reload({ discovery: { staticNodes: [{ name: "leaf8", url: "nats://127.0.0.28:4222" }] } });
  await eventually(async () => (await hub.listedBy("static")) === "leaf8");
  // Who empties the list by hand means it.
  await hub.reload({ discovery: { staticNodes: [] } });
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
  await using hub = await startHubCoordinator({ discovery: settings });
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
  await hub.reload({ discovery: { ...settings, methods: ["static"] } });
  await eventually(async () => (await hub.listedBy("consul")) === "");
});
