import { expect, it } from "vitest";
import type { FleetNode } from "../../coordinator/fleet/fleet.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { isMulticastOnLoopback, loopbackPlace } from "../support/mdns-neighbours.ts";

const isPossible = await isMulticastOnLoopback();

it.skipIf(!isPossible)(
  "multicast on loopback: a leaf that announces itself is listed until it ends, or is told otherwise by a reload",
  async () => {
    const place = await loopbackPlace();
    let announces = true;
    const configure = (document: ConfigDocument): ConfigDocument => ({
      ...document,
      ...(document.role === "leaf" && { region: "eu", capabilities: ["gpu"] }),
      discovery: {
        methods: ["static", "dns"],
        mdnsAnnounce: document.role === "hub" || announces,
        ...place,
      },
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
    const listedSoon = (names: string) =>
      eventually(async () => (await listed()).join() === names, { what: names, timeoutMs: 90_000 });
    for (announces of [false, true]) {
      await fleet.lab.reconfigure({ configure });
      await listedSoon(announces ? "hub,leaf1" : "hub");
    }
    await leaf.finish("daemon");
    // Its records would have counted for two minutes.
    await listedSoon("hub");
  },
);
