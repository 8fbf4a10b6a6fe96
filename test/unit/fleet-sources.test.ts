import { createUser } from "@nats-io/nkeys";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fleet } from "../../coordinator/fleet/fleet.ts";
import { type ConfigDocument, configDocument } from "../../shared/config/config-schema.ts";
import { derive } from "../../shared/config/derived.ts";
import type { DiscoveredNode, Witness } from "../../shared/discovery/discovered-node.ts";
import { mergeSaid, PRECEDENCE } from "../../shared/discovery/merge-said.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);

function config(more: Partial<ConfigDocument> = {}) {
  return derive(configDocument.parse({ node: "hub", role: "hub", dataDir: "/var/lib/cim", ...more }));
}

const LEAF = { name: "leaf1", publicKey: createUser().getPublicKey() };

function node(fleet: Fleet, name: string) {
  return fleet.list(nowMs).find((one) => one.name === name);
}

describe("who says what of a node", () => {
  it("shows a node that only discovery lists, where it can be probed, and that nothing of it was heard", () => {
    const fleet = new Fleet(config(), nowMs);
    fleet.onDiscovery("static", [{ name: "leaf7", url: "nats://10.0.0.7:4222", capabilities: ["gpu"] }]);
    expect(node(fleet, "leaf7")).toMatchObject({
      role: "leaf",
      url: "nats://10.0.0.7:4222",
      region: "default",
      capabilities: ["gpu"],
      sources: ["static"],
      said: [{ source: "static", url: "nats://10.0.0.7:4222", region: null, capabilities: ["gpu"] }],
      health: { state: "unreachable" },
    });
  });

  it("takes an operator's word for what it says, and another's for the rest", () => {
    const fleet = new Fleet(config({ leaves: [{ ...LEAF, region: "eu" }] }), nowMs);
    fleet.onDiscovery("static", [{ name: "leaf1", url: "nats://a:1", region: "us", capabilities: ["gpu"] }]);
    expect(node(fleet, "leaf1")).toMatchObject({
      url: "nats://a:1",
      region: "eu",
      capabilities: ["gpu"],
      sources: ["configuration", "static"],
    });
  });

  it("forgets what a source no longer lists, and the node with the last that listed it", () => {
    const fleet = new Fleet(config({ leaves: [LEAF] }), nowMs);
    fleet.onDiscovery("static", [{ name: "leaf1", region: "us" }, { name: "leaf2" }]);
    fleet.onDiscovery("static", []);
    expect(node(fleet, "leaf1")).toMatchObject({ region: "default", sources: ["configuration"] });
    expect(node(fleet, "leaf2")).toBeUndefined();
  });

  it("never drops a node that is linked, whatever is listed", () => {
    const fleet = new Fleet(config(), nowMs);
    const link = { name: "leaf1", rttMs: null } as Parameters<Fleet["onLink"]>[0]["link"];
    fleet.onLink({ kind: "up", link, atMs: nowMs }, nowMs);
    fleet.onDiscovery("static", [{ name: "leaf1" }]);
    fleet.onDiscovery("static", []);
    expect(node(fleet, "leaf1")).toMatchObject({ sources: ["link"] });
  });
});

describe("merging", () => {
  const word = fc.constantFrom("a", "b", "c");
  const words = fc.record(
    { name: fc.constant("leaf1"), url: word, region: word, capabilities: fc.array(word, { minLength: 1 }) },
    { requiredKeys: ["name"] },
  );
  const said = fc.uniqueArray(fc.tuple(fc.constantFrom(...PRECEDENCE), words), { selector: ([one]) => one });

  it("gives each field by the first that says it, in whatever order they came", () => {
    fc.assert(
      fc.property(said, (entries) => {
        const merged = mergeSaid(new Map(entries as [Witness, DiscoveredNode][]));
        expect(mergeSaid(new Map(entries.toReversed() as [Witness, DiscoveredNode][]))).toEqual(merged);
        for (const key of ["url", "region", "capabilities"] as const) {
          const saying = PRECEDENCE.map((one) => entries.find(([source]) => source === one)?.[1][key]);
          const first = saying.find((value) => value !== undefined);
          if (first !== undefined) expect(merged[key]).toEqual(first);
        }
      }),
    );
  });
});
