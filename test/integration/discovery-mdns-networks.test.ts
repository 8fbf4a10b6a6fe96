import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { NetworkNamespaces } from "../support/network-namespaces.ts";

const SCRIPT = fileURLToPath(new URL("../support/mdns-process.ts", import.meta.url));
const GROUP = "224.0.0.251:5353";

const arePossible = await NetworkNamespaces.arePossible();

it.skipIf(!arePossible)(
  "network namespaces (root): multicast DNS on two networks; what comes from neither is passed over",
  async () => {
    await using machines = new NetworkNamespaces();
    await machines.cable(["a", "10.77.1.1/24"], ["b", "10.77.1.2/24", "192.0.2.9/32"]);
    await machines.cable(["a", "10.77.2.1/24"], ["c", "10.77.2.2/24"]);
    const announce = (machine: string, address: string, node: string) =>
      machines.start(machine, SCRIPT, GROUP, "announce", address, node);
    announce("b", "10.77.1.2", "leaf1");
    const leaf2 = announce("c", "10.77.2.2", "leaf2");
    // Our own word, on both networks: an address each, of which the first found counts.
    announce("a", "10.77.2.1", "hub");

    const listings: string[] = [];
    const heard = new Map<string, number>();
    const looking = machines.start("a", SCRIPT, GROUP, "look");
    createInterface({ input: looking.stdout }).on("line", (line) => {
      const { nodes, heard: from } = JSON.parse(line) as { nodes?: string[]; heard?: string };
      if (nodes) listings.push(nodes.join());
      if (from) heard.set(from, (heard.get(from) ?? 0) + 1);
    });
    const here = "hub nats://10.77.2.1:4222,leaf1 nats://10.77.1.2:4222";
    await eventually(() => listings.at(-1) === `${here},leaf2 nats://10.77.2.2:4222`, { what: "all three" });
    // On our cable, but of another network. It says who it is twice, heard as it is, and is not believed.
    announce("b", "192.0.2.9", "stranger");
    await eventually(() => (heard.get("192.0.2.9") ?? 0) >= 2, { what: "the stranger" });
    leaf2.kill("SIGTERM");
    await eventually(() => listings.at(-1) === here, { what: "its goodbye" });
    expect(listings.join()).not.toContain("stranger");
  },
);
