import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createUser } from "@nats-io/nkeys";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contractFaults } from "../../shared/config/contract-faults.ts";
import {
  checkDocument,
  configNotes,
  faultLine,
  parseConfig,
  printSchema,
  readContracts,
} from "../../shared/config/index.ts";
import { contractsFrom } from "../../shared/consistency/contract/declared-contracts.ts";
import { OFFERED_MODES, PAIRS, pairOf } from "../../shared/consistency/contract/mode-resolver-pairs.ts";
import { hub, leaf } from "../support/config-documents.ts";
import { tempDir } from "../support/temp-dir.ts";

const linesOf = (document: unknown, env = {}): string[] => {
  const checked = checkDocument(document, env);
  return checked.ok ? [] : checked.faults.map(faultLine);
};

describe("contracts in a document", () => {
  it.each([leaf, hub])("of $role are taken with every key, and again when read back", (base) => {
    const contracts = {
      orders: { mode: "strong", granularity: "document", retentionDays: 400, subscribers: ["leaf1"] },
      stock: { resolver: "crdt", fields: { count: "counter", tags: "map of set" }, module: "/m.js" },
      person: {},
    };
    const config = parseConfig({ ...base, contracts });
    expect(config.contracts).toEqual(contracts);
    expect(config.sync.domains).toEqual(["*"]);
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it("give the copy its domains where one is kept from the node", () => {
    const contracts = { orders: { subscribers: ["leaf2"] }, person: {}, stock: { subscribers: ["leaf1"] } };
    const config = parseConfig({ ...leaf, contracts });
    expect(config.sync.domains).toEqual(["person", "stock"]);
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it("are under defaults that the environment may name", () => {
    const env = { CIM_SYNC_MODE: "strong", CIM_CONFLICT_RESOLUTION: "crdt" };
    const declared = { a: { resolver: "vector-clock" } };
    const contracts = readContracts(parseConfig({ ...leaf, contracts: declared }, env));
    expect(contracts.usual).toMatchObject({ mode: "strong", resolver: "crdt" });
    expect(contracts.domains.a).toMatchObject({ mode: "strong", resolver: "vector-clock" });
  });

  const cases: readonly (readonly [what: string, document: object, line: RegExp])[] = [
    ["no object", { contracts: [] }, /^contracts: is \[\], must be an object; write domains/],
    ["no contract", { contracts: { a: 3 } }, /^contracts\.a: is 3, must be an object; write domains/],
    ["reserved domain", { contracts: { _a: {} } }, /^contracts\._a: is named "_a", which must be one word/],
    [
      "two words",
      { contracts: { "a.b": {} } },
      /^contracts\["a\.b"\]: is named "a\.b", which must be one word/,
    ],
    [
      "a domain that no object can have",
      { contracts: JSON.parse('{"__proto__": {"mode": "strong"}}') },
      /^contracts\.__proto__: has a name that no object can have/,
    ],
    [
      "a field that no object can have",
      { contracts: { a: { resolver: "crdt", fields: JSON.parse('{"__proto__": "set"}') } } },
      /^contracts\.a\.fields\.__proto__: is a name that no field can have/,
    ],
    ["unknown mode", { contracts: { a: { mode: "weak" } } }, /must be "eventual" or "strong"; write /],
    [
      "unknown key",
      { contracts: { a: { granluarity: "field" } } },
      /^contracts\.a\.granluarity: is not a known key; write contracts\.a\.granularity$/,
    ],
    [
      "unknown type",
      { contracts: { a: { resolver: "crdt", fields: { x: "sets" } } } },
      /^contracts\.a\.fields\.x: is "sets", must be a field type; write field names, .*"map of" one of them$/,
    ],
    [
      "weaker than every domain",
      { sync: { mode: "strong" }, contracts: { a: { mode: "eventual" } } },
      /^contracts\.a\.mode: is "eventual", but sync\.mode is "strong", from which no domain can be excepted/,
    ],
    [
      "a contract that it replaces, misread",
      { contracts: { a: { replaces: "12" } } },
      /^contracts\.a\.replaces: is "12", must be 16 hexadecimal digits/,
    ],
    [
      "types without crdt",
      { contracts: { a: { fields: { x: "set" } } } },
      /^contracts\.a\.fields: gives types to fields, which resolver "last-write-wins" does not know; write /,
    ],
    [
      "crdt per document",
      { sync: { conflictResolution: "crdt" }, contracts: { a: { granularity: "document" } } },
      /^contracts\.a\.granularity: is "document", but resolver crdt merges fields/,
    ],
    ["relative module", { contracts: { a: { module: "m.js" } } }, /^contracts\.a\.module: .* absolute path/],
    [
      "no days",
      { contracts: { a: { retentionDays: 0 } } },
      /^contracts\.a\.retentionDays: is 0, must be more/,
    ],
    [
      "no node",
      { contracts: { a: { subscribers: ["Leaf 1"] } }, sync: { domains: ["b"] } },
      /^contracts\.a\.subscribers\[0\]: is "Leaf 1", must be \* or 1 to 63 characters/,
    ],
    [
      "everything followed, one kept away",
      { contracts: { a: { subscribers: ["x"] } }, sync: { domains: ["*"] } },
      /^sync\.domains: is \["\*"\], but contracts\.a\.subscribers leaves this node out; write /,
    ],
    [
      "followed and kept away",
      { contracts: { a: { subscribers: [] } }, sync: { domains: ["a", "b"] } },
      /^sync\.domains: names "a", but contracts\.a\.subscribers leaves this node out; write /,
    ],
    [
      "named and not followed",
      { contracts: { a: { subscribers: ["leaf1"] } }, sync: { domains: ["b"] } },
      /^sync\.domains: leaves out "a", but contracts\.a\.subscribers names this node; write "a" too, or /,
    ],
    [
      "named and following nothing",
      { contracts: { a: { subscribers: ["leaf1"] } }, sync: { enabled: false } },
      /^sync\.enabled: is false, but contracts\.a\.subscribers names this node; write true, or /,
    ],
    [
      "left nothing",
      { contracts: { a: { subscribers: ["x"] } } },
      /^sync\.domains: is left out, and the contracts leave this node none; write /,
    ],
  ];
  it.each(cases)("are refused in one line: %s", (_, part, line) => {
    expect(linesOf({ ...leaf, ...part })).toEqual([expect.stringMatching(line)]);
  });

  it("are not kept shorter than the log, which only the hub knows", () => {
    const contracts = { a: { retentionDays: 7 }, b: { retentionDays: 30 }, c: { retentionDays: null } };
    expect(linesOf({ ...hub, contracts })).toEqual([
      expect.stringMatching(
        /^contracts\.a\.retentionDays: is 7, less than log\.retentionDays \(30\): .*not yet offered.*; write .*30/,
      ),
    ]);
    expect(linesOf({ ...hub, log: { retentionDays: 7 }, contracts })).toEqual([]);
    expect(linesOf({ ...leaf, contracts })).toEqual([]);
  });

  it("are refused by the table where a pair is not offered", () => {
    const document: Record<string, unknown> = {
      role: "leaf",
      node: "leaf1",
      "sync.mode": "eventual",
      "sync.conflictResolution": "last-write-wins",
      contracts: { a: { mode: "strong", resolver: "crdt" }, b: { mode: "strong" }, c: { resolver: "crdt" } },
    };
    const without = PAIRS.map((pair) =>
      pair.mode === "strong" && pair.resolver === "crdt"
        ? { ...pair, offered: false, why: "because", write: "another" }
        : pair,
    );
    const faults = (pairs = without) => [...contractFaults((path) => document[path], pairs)].map(faultLine);
    const line = (path: string) =>
      `${path}: is "crdt" with mode "strong", not yet offered by this build (because); write another`;
    expect(faults()).toEqual([line("contracts.a.resolver")]);
    expect(faults(PAIRS as typeof without)).toEqual([]);
    document["sync.conflictResolution"] = "crdt";
    expect(faults()).toEqual([line("contracts.a.resolver"), line("contracts.b.mode")]);
  });
});

describe("contracts of any kind", () => {
  it("are taken, or refused in lines, and those that are taken are the same when they are read back", () => {
    const name = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("a", "b") },
      {
        weight: 1,
        arbitrary: fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom("__proto__", "constructor")),
      },
    );
    const some = (value: fc.Arbitrary<unknown>) =>
      fc.oneof({ weight: 30, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
    const contract = fc.record(
      {
        mode: some(fc.constantFrom("eventual", "eventual", "strong", "causal")),
        resolver: some(fc.constantFrom("last-write-wins", "vector-clock", "crdt")),
        granularity: some(fc.constantFrom("field", "document")),
        fields: some(fc.dictionary(name, some(fc.constantFrom("set", "map of counter")))),
        retentionDays: some(fc.integer({ min: 20, max: 300 })),
        subscribers: some(fc.array(fc.constantFrom("*", "leaf1", "leaf2"))),
        module: some(fc.constantFrom("/m.js", null)),
      },
      { requiredKeys: [] },
    );
    const sync = fc.record(
      { mode: fc.constantFrom("eventual", "strong"), domains: fc.array(name), enabled: fc.boolean() },
      { requiredKeys: [] },
    );
    let taken = 0;
    fc.assert(
      fc.property(
        some(fc.dictionary(name, some(contract))),
        sync,
        fc.constantFrom(leaf, hub),
        (contracts, sync, base) => {
          const checked = checkDocument({ ...base, contracts, sync });
          if (!checked.ok) {
            for (const line of checked.faults.map(faultLine)) expect(line).toMatch(/^[^\n]+; write [^\n]+$/);
            return;
          }
          taken++;
          expect(parseConfig(JSON.parse(JSON.stringify(checked.config)))).toEqual(checked.config);
          const { domains } = contractsFrom(checked.config.sync, checked.config.contracts, () => "");
          for (const [domain, { mode, resolver }] of Object.entries(domains)) {
            expect(domain).not.toBe("__proto__");
            expect(pairOf(mode, resolver).offered).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(0);
  });
});

describe("contracts for whatever reads the schema", () => {
  it("have the modes that are offered, and names of domains alone", () => {
    const { contracts } = (JSON.parse(printSchema()) as { properties: Record<string, unknown> }).properties;
    expect(contracts).toMatchObject({
      propertyNames: { pattern: expect.any(String) },
      additionalProperties: {
        additionalProperties: false,
        properties: {
          mode: { enum: OFFERED_MODES },
          resolver: { enum: ["last-write-wins", "vector-clock", "crdt"] },
        },
      },
    });
  });
});

describe("contracts that are valid and may not be meant", () => {
  const contracts = { orders: { subscribers: ["leaf1", "leaf9"] }, person: {} };

  it("are noted at the hub where they name a node that may not link", () => {
    const leaves = [{ name: "leaf1", publicKey: createUser().getPublicKey() }];
    const nats = { leafListen: "0.0.0.0:7422" };
    expect(configNotes(parseConfig({ ...hub, nats, leaves, contracts }))).toEqual([
      "contracts.orders.subscribers names leaf9, which is not in leaves",
    ]);
    expect(
      configNotes(parseConfig({ ...hub, contracts: { orders: { subscribers: ["*", "hub"] } } })),
    ).toEqual([]);
  });

  it("are noted at a leaf that follows a list which nobody wrote", () => {
    const other = { ...leaf, node: "leaf2" };
    expect(configNotes(parseConfig({ ...other, contracts }))).toEqual([
      "the copy holds person by the contracts, and no domain without a contract",
    ]);
    expect(configNotes(parseConfig({ ...leaf, contracts }))).toEqual([]);
    expect(configNotes(parseConfig({ ...other, contracts, sync: { domains: ["a", "person"] } }))).toEqual([]);
  });
});

describe("contracts that are read", () => {
  it("have the hash of what their module holds", async () => {
    await using folder = await tempDir();
    const module = join(folder.path, "orders.js");
    writeFileSync(module, "export const one = 1;\n");
    const config = parseConfig({ ...leaf, contracts: { orders: { module } } });
    const sha256 = createHash("sha256").update("export const one = 1;\n").digest("hex");
    expect(readContracts(config).domains.orders?.module).toEqual({ path: module, sha256 });
  });

  it("name a module that can't be read", () => {
    const config = parseConfig({ ...leaf, contracts: { orders: { module: "/nowhere/orders.js" } } });
    expect(() => readContracts(config)).toThrow(
      /^contracts: contracts\.orders\.module: is "\/nowhere\/orders\.js", which cannot be read \(ENOENT\); write /,
    );
  });
});
