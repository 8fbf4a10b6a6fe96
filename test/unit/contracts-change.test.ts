import { describe, expect, it } from "vitest";
import { ContractChangeRefused } from "../../shared/config/index.ts";
import { type Contracts, contractFor, NO_CONTRACTS } from "../../shared/consistency/contract/contract.ts";
import {
  contractChanges,
  promiseHash,
  refusedChanges,
} from "../../shared/consistency/contract/contract-change.ts";
import {
  contractsFrom,
  type DeclaredContract,
} from "../../shared/consistency/contract/declared-contracts.ts";
import { decodeContracts, encodeContracts } from "../../shared/consistency/contract/published-contracts.ts";

const usual = { mode: "eventual", conflictResolution: "last-write-wins" } as const;
const of = (contract: DeclaredContract, sha256 = "a"): Contracts =>
  contractsFrom(usual, { orders: contract }, () => sha256);

describe("a change of a contract", () => {
  const crdt = { resolver: "crdt", fields: { count: "counter", tags: "set" } } as const;
  const cases: readonly (readonly [what: string, Contracts, Contracts, part: string, safe: boolean])[] = [
    ["to strong", of({}), of({ mode: "strong" }), "mode", false],
    ["from strong", of({ mode: "strong" }), of({}), "mode", false],
    ["another resolver", of({}), of({ resolver: "vector-clock" }), "resolver", false],
    ["another granularity", of({}), of({ granularity: "document" }), "granularity", false],
    ["one more field", of(crdt), of({ ...crdt, fields: { ...crdt.fields, seen: "list" } }), "fields", true],
    [
      "another type",
      of(crdt),
      of({ ...crdt, fields: { ...crdt.fields, count: "register" } }),
      "fields",
      false,
    ],
    ["one field less", of(crdt), of({ ...crdt, fields: { count: "counter" } }), "fields", false],
    ["a module", of({}), of({ module: "/m.js" }), "module", false],
    ["another content", of({ module: "/m.js" }), of({ module: "/m.js" }, "b"), "module", false],
    ["kept longer", of({}), of({ retentionDays: 400 }), "retentionDays", true],
    ["other subscribers", of({}), of({ subscribers: ["leaf1"] }), "subscribers", true],
    ["no longer declared", of({ mode: "strong" }), NO_CONTRACTS, "mode", false],
    ["first declared", NO_CONTRACTS, of({ mode: "strong" }), "mode", false],
  ];
  it.each(cases)("%s", (_, before, after, part, safe) => {
    expect(contractChanges(before, after)).toEqual([
      expect.objectContaining({ domain: "orders", part, safe, why: expect.stringMatching(/.+/) }),
    ]);
    expect(refusedChanges(before, after, {})).toHaveLength(safe ? 0 : 1);
  });

  it("is none where the same is said in other words", () => {
    expect(contractChanges(NO_CONTRACTS, of({}))).toEqual([]);
    expect(contractChanges(of({}), of({ mode: "eventual", subscribers: ["*"] }))).toEqual([]);
    expect(contractChanges(of({ module: "/x/m.js" }), of({ module: "/y/m.js" }))).toEqual([]);
  });

  it("of the usual contract is one of every domain without its own, and of no other", () => {
    const strong = contractsFrom({ ...usual, mode: "strong" }, { orders: {} }, () => "");
    expect(contractChanges(of({ mode: "strong" }), strong)).toEqual([
      expect.objectContaining({ domain: "*", part: "mode", before: '"eventual"', after: '"strong"' }),
    ]);
  });

  it("is taken when the new contract names the one that it replaces", () => {
    const [before, after] = [of({}), of({ mode: "strong", resolver: "crdt" })];
    const hash = promiseHash(contractFor(before, "orders"));
    expect(refusedChanges(before, after, {}).map(({ replaces }) => replaces)).toEqual([hash, hash]);
    expect(refusedChanges(before, after, { orders: hash })).toEqual([]);
    expect(refusedChanges(before, after, { person: hash })).toHaveLength(2);
    expect(refusedChanges(after, before, { orders: hash })).toHaveLength(2);
  });

  it("may name a contract whatever was safely changed of it meanwhile", () => {
    const hash = promiseHash(contractFor(of({}), "orders"));
    expect(promiseHash(contractFor(of({ retentionDays: 90, subscribers: [] }), "orders"))).toBe(hash);
    expect(promiseHash(NO_CONTRACTS.usual)).toBe(hash);
  });

  it("that is refused is one line with the way to do it", () => {
    const before = of({});
    const hash = promiseHash(contractFor(before, "orders"));
    const refused = refusedChanges(before, of({ mode: "strong", granularity: "document" }), {});
    expect(new ContractChangeRefused("leaf1", refused).message).toBe(
      `the contracts of leaf1 can't be changed like this: contracts.orders.mode: was "eventual" and is now "strong": the log would refuse the events of it that outboxes still hold; write "eventual", or "replaces": "${hash}" beside it once its writers have stopped and no node has anything left to ship (cim status), at the hub and then on every leaf (and 1 more such changes)`,
    );
    const strong = contractsFrom({ ...usual, mode: "strong" }, {}, () => "");
    expect(new ContractChangeRefused("leaf1", refusedChanges(NO_CONTRACTS, strong, {})).message).toMatch(
      /: sync\.mode: was "eventual" and is now "strong": .*; write "eventual", and in contracts the domains that shall change$/,
    );
  });
});

describe("published contracts", () => {
  it("are read as they were written", () => {
    const contracts = of({ resolver: "crdt", fields: { count: "counter" }, module: "/m.js" });
    expect(decodeContracts(encodeContracts(contracts))).toEqual(contracts);
  });

  it("are the usual one of a build that published none", () => {
    expect(decodeContracts(undefined)).toEqual(NO_CONTRACTS);
  });

  it.each(["", "{", "[]", "null", '{"usual":{},"domains":{}}'])("are not guessed at: %s", (text) => {
    expect(decodeContracts(text)).toBeUndefined();
  });

  it("of a newer build are not taken for less than they say", () => {
    const text = encodeContracts(NO_CONTRACTS);
    expect(decodeContracts(text.replace('"eventual"', '"linear"'))).toBeUndefined();
    expect(decodeContracts(text.replace('"module":null', '"module":null,"quorum":2'))).toBeUndefined();
  });
});
