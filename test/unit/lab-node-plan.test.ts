import { describe, expect, it } from "vitest";
import { LabError } from "../../lab/lab-error.ts";
import { configDocument, parseWantedLeaves, planFleet, portWishes, withPorts } from "../../lab/node-plan.ts";
import { checkDocument } from "../../shared/config/index.ts";
import { createUserKey } from "../../shared/nats/nkeys.ts";

function started(leaves?: number | string[]) {
  const planned = planFleet([], leaves);
  return withPorts(
    planned,
    portWishes(planned).map((_, at) => 20_000 + at),
  );
}

const included = (nodes: { name: string; included: boolean }[]) =>
  nodes.filter((node) => node.included).map((node) => node.name);

describe("the lab's plan", () => {
  it("starts a hub and two leaves in a new folder", () => {
    expect(included(planFleet([], undefined))).toEqual(["hub", "leaf1", "leaf2"]);
  });

  it("goes on with the fleet that ran last, on its ports", () => {
    const before = started(["berlin", "paris"]);
    const again = planFleet(before, undefined);
    expect(included(again)).toEqual(["hub", "berlin", "paris"]);
    expect(portWishes(again)).toEqual(before.flatMap(({ ports }) => Object.values(ports)));
  });

  it("adds what is wanted now, and keeps knowing what is not", () => {
    const before = started(2);
    expect(included(planFleet(before, 3))).toEqual(["hub", "leaf1", "leaf2", "leaf3"]);
    const fewer = planFleet(before, ["leaf2"]);
    expect(included(fewer)).toEqual(["hub", "leaf2"]);
    expect(fewer.map(({ name }) => name)).toContain("leaf1");
    expect(included(planFleet(withPorts(fewer, portWishes(fewer) as number[]), undefined))).toEqual([
      "hub",
      "leaf2",
    ]);
  });

  it("gives every node a configuration that the daemons accept", () => {
    const fleet = started(2);
    const keys = new Map(["leaf1", "leaf2"].map((name) => [name, createUserKey().publicKey]));
    for (const node of fleet) {
      const checked = checkDocument(
        configDocument(node, fleet, keys, "/tmp/lab", { orders: { mode: "strong" } }),
      );
      expect(checked).toMatchObject({ ok: true, config: { contracts: { orders: { mode: "strong" } } } });
    }
    const hub = configDocument(fleet[0] as (typeof fleet)[0], fleet, keys, "/tmp/lab", {});
    expect(hub.leaves?.map(({ name, publicKey }) => [name, publicKey])).toEqual([...keys]);
  });

  it.each(["-1", "65", "1.5", "leaf1,leaf1", "hub", "Leaf", "a b", "", "leaf1,"])(
    "refuses --leaves %j in one line",
    (text) => {
      expect(() => parseWantedLeaves(text)).toThrow(LabError);
      expect(() => parseWantedLeaves(text)).toThrow(/^[^\n]*--leaves[^\n]*$/);
    },
  );

  it("reads counts and names", () => {
    expect(parseWantedLeaves("0")).toBe(0);
    expect(parseWantedLeaves("5")).toBe(5);
    expect(parseWantedLeaves("berlin, paris")).toEqual(["berlin", "paris"]);
  });
});
