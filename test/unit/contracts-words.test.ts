import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  contractFor,
  FIELD_TYPES,
  isFieldType,
  MODES,
  NO_CONTRACTS,
  RESOLVERS,
  valuesOfMap,
} from "../../shared/consistency/contract/contract.ts";
import { contractsHash } from "../../shared/consistency/contract/contracts-hash.ts";
import { contractsFrom } from "../../shared/consistency/contract/declared-contracts.ts";
import { logRetentionDays } from "../../shared/consistency/contract/log-retention-days.ts";
import { OFFERED_MODES, PAIRS, pairOf } from "../../shared/consistency/contract/mode-resolver-pairs.ts";
import { copyDomains, subscriptionOf } from "../../shared/consistency/contract/subscribers.ts";

const usual = { mode: "eventual", conflictResolution: "last-write-wins" } as const;
const noModules = (): string => {
  throw new Error("there is none");
};

describe("the table of pairs", () => {
  it("has a row for each of the nine, with what to write where one is not offered", () => {
    expect(PAIRS).toHaveLength(9);
    for (const mode of MODES) {
      for (const resolver of RESOLVERS) {
        const { offered, why, write } = pairOf(mode, resolver);
        expect(why).not.toBe("");
        expect(write === "").toBe(offered);
      }
    }
  });

  it("offers a mode that it offers with any resolver", () => {
    expect(OFFERED_MODES).toEqual(["eventual", "strong"]);
  });
});

describe("the contract of a domain", () => {
  const contracts = contractsFrom(
    { mode: "strong", conflictResolution: "crdt" },
    {
      orders: { resolver: "vector-clock" as const, subscribers: ["leaf2", "leaf1", "leaf2"] },
      constructor: { mode: "eventual" as const },
    },
    noModules,
  );

  it("is what was declared, and as usual where nothing was", () => {
    expect(contractFor(contracts, "orders")).toEqual({
      domain: "orders",
      mode: "strong",
      resolver: "vector-clock",
      granularity: "field",
      fields: {},
      retentionDays: null,
      subscribers: ["leaf1", "leaf2"],
      module: null,
    });
    expect(contractFor(contracts, "person")).toMatchObject({ domain: "*", mode: "strong", resolver: "crdt" });
  });

  it("is not taken from what every object has", () => {
    expect(contractFor(contracts, "constructor")).toMatchObject({ mode: "eventual" });
    expect(contractFor(NO_CONTRACTS, "constructor").domain).toBe("*");
    expect(contractFor(NO_CONTRACTS, "__proto__").domain).toBe("*");
  });

  it("is the same after a way through JSON", () => {
    const again = JSON.parse(JSON.stringify(contracts)) as typeof contracts;
    expect(contractsHash(again)).toBe(contractsHash(contracts));
    expect(contractFor(again, "orders")).toEqual(contractFor(contracts, "orders"));
  });
});

describe("a field type", () => {
  it("is one of the words, or a map of one", () => {
    const type = fc
      .tuple(fc.integer({ min: 0, max: 4 }), fc.constantFrom(...FIELD_TYPES))
      .map(([maps, base]) => "map of ".repeat(maps) + base);
    fc.assert(fc.property(type, (text) => isFieldType(text)));
    for (const wrong of ["", "map of ", "map of", "map of sets", "Set", `${"map of ".repeat(5)}set`]) {
      expect(isFieldType(wrong)).toBe(false);
    }
    expect(valuesOfMap("map of map of set")).toBe("map of set");
    expect(valuesOfMap("set")).toBeUndefined();
  });
});

describe("the hash", () => {
  const hash = (...[declared, sha = "a".repeat(64)]: [Parameters<typeof contractsFrom>[1], string?]) =>
    contractsHash(contractsFrom(usual, declared, () => sha));

  it("is that of what is declared, in whatever order", () => {
    expect(hash({ a: { fields: { x: "set", y: "counter" } }, b: {} })).toBe(
      hash({ b: {}, a: { fields: { y: "counter", x: "set" } } }),
    );
    expect(hash({ a: { subscribers: ["n1", "n2"] } })).toBe(hash({ a: { subscribers: ["n2", "n1"] } }));
  });

  it("changes with every part of a contract", () => {
    const all = [
      {},
      { a: {} },
      { a: { mode: "strong" } },
      { a: { resolver: "crdt" } },
      { a: { resolver: "crdt", fields: { x: "set" } } },
      { a: { granularity: "document" } },
      { a: { retentionDays: 90 } },
      { a: { subscribers: ["n1"] } },
      { a: { module: "/m.js" } },
    ] as const;
    const hashes = [...all.map((declared) => hash(declared)), hash({ a: { module: "/m.js" } }, "b")];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(contractsHash(contractsFrom({ ...usual, mode: "strong" }, {}, noModules))).not.toBe(hash({}));
  });

  it("is of what a module holds, not of where it lies", () => {
    expect(hash({ a: { module: "/x/m.js" } })).toBe(hash({ a: { module: "/y/m.js" } }));
  });
});

describe("the log's retention", () => {
  it("is that of the domain that is kept longest, and never shorter than its own", () => {
    const days = (...of: (number | null)[]) => {
      const declared = Object.fromEntries(of.map((retentionDays, at) => [`d${at}`, { retentionDays }]));
      return logRetentionDays(30, contractsFrom(usual, declared, noModules));
    };
    expect(days()).toBe(30);
    expect(days(null)).toBe(30);
    expect(days(null, 90, 400)).toBe(400);
  });
});

describe("subscribers", () => {
  it("are named and must, or all and may", () => {
    expect(subscriptionOf({}, "leaf1")).toBe("may");
    expect(subscriptionOf({ subscribers: ["*"] }, "leaf1")).toBe("may");
    expect(subscriptionOf({ subscribers: ["leaf1", "leaf2"] }, "leaf1")).toBe("must");
    expect(subscriptionOf({ subscribers: ["leaf2"] }, "leaf1")).toBe("never");
    expect(subscriptionOf({ subscribers: [] }, "leaf1")).toBe("never");
  });

  it("give a copy its domains", () => {
    const contracts = { a: { subscribers: ["leaf1"] }, b: { subscribers: ["leaf2"] }, c: {} };
    const domains = (node: string, role: "hub" | "leaf" = "leaf") => copyDomains({ node, role, contracts });
    expect(domains("leaf1")).toEqual(["a", "c"]);
    expect(domains("leaf2")).toEqual(["b", "c"]);
    expect(domains("hub", "hub")).toEqual(["*"]);
    expect(copyDomains({ node: "leaf1", role: "leaf", contracts: { a: {}, c: {} } })).toEqual(["*"]);
    expect(copyDomains({ node: "leaf1", role: "leaf", contracts: {} })).toEqual(["*"]);
  });
});
