import { expect, test } from "vitest";
import { HubFinder } from "../../agent/hubs/hub-finder.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { dialledHubs } from "../../shared/nats/server-control.ts";
import { Conditions } from "../../shared/observe/conditions.ts";
import { createLog } from "../../shared/observe/log.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

test("a leaf's server dials where its hub is said to be, and as configured when nobody says so any more", async () => {
  await using fleet = await startNatsFleet();
  const sys = await fleet.connect("leaf1", "sys");
  const conditions = new Conditions();
  const log = createLog({ name: "test", level: "error", node: "leaf1" });
  const { node, role, dataDir, nats, heartbeat } = fleet.config("leaf1");
  const document: ConfigDocument = { node, role, dataDir, nats, heartbeat } as ConfigDocument;
  const finder = (over: Partial<ConfigDocument>) =>
    new HubFinder({
      config: derive(configDocument.parse({ ...document, ...over })),
      conditions,
      log,
      sys: () => sys,
    });
  const dials = (...hubs: string[]) =>
    eventually(async () => {
      expect(await dialledHubs(sys, "CIM")).toEqual(hubs);
      return true;
    });
  const as = (host: string) => `${host}:${fleet.leafPort}`;
  const at = (host: string) => ({
    discovery: {
      staticNodes: [{ name: "hub", url: "nats://127.0.0.1:4222", leafUrl: `nats-leaf://${as(host)}` }],
    },
  });
  {
    await using first = await finder(at("localhost")).start();
    await dials(as("localhost"), as("127.0.0.1"));
    await first.configure(derive(configDocument.parse({ ...document, ...at("127.0.0.1") })));
    await dials(as("127.0.0.1"));
    await first.configure(derive(configDocument.parse({ ...document, ...at("localhost") })));
    await dials(as("localhost"), as("127.0.0.1"));
    const hubs = [`nats-leaf://${as("127.0.0.1")}`, "nats-leaf://127.0.0.1:1"];
    const moved = { ...document, nats: { ...nats, hubs } } as ConfigDocument;
    await first.configure(derive(configDocument.parse(moved)));
    await dials(as("127.0.0.1"), "127.0.0.1:1");
  }
  {
    await using _again = await finder({}).start();
    await dials(as("127.0.0.1"));
  }
  const elsewhere = { nats: { ...nats, configFolder: `${dataDir}/nowhere/else` }, ...at("localhost") };
  await using _blind = await finder(elsewhere as Partial<ConfigDocument>).start();
  await eventually(() => conditions.has("hubs-not-moved"));
  await dials(as("127.0.0.1"));
});
