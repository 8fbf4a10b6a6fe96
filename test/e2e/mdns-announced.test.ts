import { expect, it } from "vitest";
import type { FleetNode } from "../../coordinator/fleet/fleet.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { isMulticastOnLoopback, loopbackPlace } from "../support/mdns-neighbours.ts";

const isPossible = await isMulticastOnLoopback();

it.skipIf(!isPossible)(
  "multicast on loopback: a leaf that announces itself is listed until it ends",
  async () => {
    const place = await loopbackPlace();
    const configure = (document: ConfigDocument): ConfigDocument => ({
      ...document,
      ...(document.role === "leaf" && { region: "eu", capabilities: ["gpu"] }),
      discovery: { methods: ["static", "dns"], mdnsAnnounce: true, ...place },
    });
    await using fleet = await Fleet.start({ leaves: 1, configure });
    const leaf = fleet.leaf("leaf1");
    const nodes = async () => {
      const answer = await fetch(`${fleet.hub.httpUrl}/api/v1/nodes`, {
        signal: AbortSignal.timeout(20_000),
      });
      return ((await answer.json()) as { nodes: FleetNode[] }).nodes;
    };
    const listed = async () =>
      (await nodes()).flatMap(({ name, sources }) => (sources.includes("mdns") ? name : []));

    await eventually(async () => (await listed()).join() === "hub,leaf1", { what: "both by multicast" });
    const told = (await nodes()).find(({ name }) => name === "leaf1")?.said;
    const said = { source: "mdns", url: leaf.natsUrl, region: "eu", capabilities: ["gpu"], leafUrl: null };
    expect(told).toContainEqual(said);
    await leaf.finish("daemon");
    // Its records would have counted for two minutes.
    await eventually(async () => (await listed()).join() === "hub", {
      what: "the hub alone",
      timeoutMs: 90_000,
    });
  },
);
