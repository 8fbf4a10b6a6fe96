import { expect, it } from "vitest";
import { Coordinator } from "../../coordinator/coordinator.ts";
import type { FleetNode } from "../../coordinator/fleet/fleet.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

it("static nodes are in the fleet from the start, and change with a reload", async () => {
  await using nats = await startNatsFleet({ leaves: [] });
  const http = `127.0.0.1:${await freePort()}`;
  const config = (discovery: ConfigDocument["discovery"]) => {
    const { node, role, dataDir, nats: server } = nats.config("hub");
    return derive(configDocument.parse({ node, role, dataDir, nats: server, http, outbox, discovery }));
  };
  const outbox = { maxBytes: 64 * 1024 * 1024 };
  const get = async <T>(path: string) => (await (await fetch(`http://${http}/api/v1/${path}`)).json()) as T;
  const isStatic = async () =>
    (await get<{ nodes: FleetNode[] }>("nodes")).nodes
      .filter(({ sources }) => sources.includes("static"))
      .map(({ name }) => name)
      .join();

  const first = { name: "leaf7", url: "nats://127.0.0.27:4222", region: "eu", capabilities: ["gpu"] };
  await using coordinator = new Coordinator(config({ staticNodes: [first] }));
  await coordinator.start();
  expect(await get("nodes/leaf7")).toMatchObject({
    url: first.url,
    region: "eu",
    capabilities: ["gpu"],
    sources: ["static"],
    said: [{ source: "static", url: first.url, region: "eu", capabilities: ["gpu"] }],
  });
  expect(await get("discovery")).toMatchObject({
    sources: [{ source: "static", state: "answering", nodes: 1, withheld: [] }],
  });

  await coordinator.reload(config({ staticNodes: [{ name: "leaf8", url: "nats://127.0.0.28:4222" }] }));
  await eventually(async () => (await isStatic()) === "leaf8");
  // Who empties the list by hand means it.
  await coordinator.reload(config({ staticNodes: [] }));
  await eventually(async () => (await isStatic()) === "");
});
