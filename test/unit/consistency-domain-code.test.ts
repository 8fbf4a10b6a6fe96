import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkResolver } from "../../shared/consistency/compliance/check-resolver.ts";
import type { ResolverName } from "../../shared/consistency/contract/contract.ts";
import { loadResolver } from "../../shared/consistency/resolve/load-resolver.ts";
import type { Resolver } from "../../shared/consistency/resolve/resolver.ts";
import { foldAll, foldEventOf, stored } from "../support/fold-events.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

let folder: TempDir;
beforeAll(async () => {
  folder = await tempDir();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function load(name: string, code: string, resolver: ResolverName = "last-write-wins", sha256?: string) {
  const path = join(folder.path, `${name}.mjs`);
  await writeFile(path, code);
  const hash = sha256 ?? createHash("sha256").update(code).digest("hex");
  const contract = { domain: "orders", resolver, granularity: "field", fields: {} } as const;
  return loadResolver({ ...contract, module: { path, sha256: hash } });
}

const check = (resolver: Resolver<unknown>) =>
  checkResolver(resolver, { resolver: "last-write-wins", fields: {} }, { histories: 40 });

test("a reducer gives a domain's events their meaning, in the log's order", async () => {
  const resolver = await load(
    "reduce",
    `export const reduce = (value, { type, node, data }) => data === null ? null : [...(value ?? []), type + ":" + node + ":" + data]`,
  );
  const events = [1, 2, 3].map((n) => foldEventOf(n, `e${n}`, { node: `n${n % 2}` }));
  const { state } = foldAll(resolver, [...events].reverse());
  expect(resolver.view(stored(resolver, state)).value).toEqual([
    "Written:n1:e1",
    "Written:n0:e2",
    "Written:n1:e3",
  ]);
  const { state: deleted } = foldAll(resolver, [foldEventOf(4, null)], state);
  expect(resolver.view(deleted)).toEqual({ value: null, deleted: true, siblings: [] });
  expect(await check(resolver)).toEqual([]);
});

test("an event that a reducer throws on is refused, and the state as it was", async () => {
  const resolver = await load(
    "throws",
    `export function reduce(value, { data }) { if (data < 0) throw new Error("below zero"); return (value ?? 0) + data; }`,
  );
  const { state } = foldAll(resolver, [foldEventOf(1, 5)]);
  expect(() => resolver.apply(state, foldEventOf(2, -1))).toThrow("below zero");
  expect(resolver.view(foldAll(resolver, [foldEventOf(3, 2)], state).state).value).toBe(7);
});

test("a policy merges siblings", async () => {
  const resolver = await load(
    "merge",
    `export const merge = ({ versions }) => versions.map(({ value }) => String(value)).sort().join(" or ")`,
    "vector-clock",
  );
  const { state } = foldAll(resolver, [
    foldEventOf(1, { colour: "red" }, { node: "a", seen: {} }),
    foldEventOf(2, { colour: "blue" }, { node: "b", seen: {} }),
  ]);
  expect(resolver.view(state)).toMatchObject({ value: { colour: "blue or red" }, siblings: [] });
});

describe("what a module may be", () => {
  test.each([
    [
      "nothing",
      "",
      undefined,
      /orders\.module .*nothing\.mjs: exports none of reduce, merge and resolver: export one/,
    ],
    ["both", "export const reduce = () => 1, resolver = {}", undefined, /exports reduce and resolver/],
    ["number", "export const reduce = 5", undefined, /its reduce is no function/],
    ["syntax", "export const = ", undefined, /syntax\.mjs: /],
    ["policy", "export const merge = () => 1", undefined, /merge, which is for resolver "vector-clock"/],
    [
      "partly",
      'export const resolver = { name: "x", empty() {}, apply() {}, view() {} }',
      undefined,
      /its resolver has no seen, compact, encode, decode$/,
    ],
    ["changed", "export const reduce = () => 1", "0".repeat(64), /changed since the contracts were read/],
  ])("%s", async (name, code, sha256, message) => {
    await expect(load(name, code, "last-write-wins", sha256)).rejects.toThrow(message);
  });

  test("another content of the same file is another module", async () => {
    const one = await load("again", "export const reduce = () => 1");
    const two = await load("again", "export const reduce = () => 2");
    expect(
      [one, two].map((resolver) => resolver.view(foldAll(resolver, [foldEventOf(1, 0)]).state).value),
    ).toEqual([1, 2]);
  });
});

describe("the compliance suite tells what a resolver of one's own gets wrong", () => {
  /** Counts events by lane; what is given in braces takes the place of a method of it. */
  const own = (methods: string) => `
    const right = {
      name: "own",
      empty: () => ({}),
      apply: (state, { dot }) => ({ ...state, [dot.lane + dot.seq]: 1 }),
      view: (state) => ({ value: Object.keys(state).length, deleted: false, siblings: [] }),
      seen: () => new Map(),
      compact: (state) => state,
      encode: (state) => state,
      decode: (json) => json,
    };
    export const resolver = { ...right, ${methods} };`;

  test("nothing, of a right one", async () => {
    expect(await check(await load("right", own("")))).toEqual([]);
  });

  test.each([
    [
      "order",
      `apply: (state, { dot }) => ({ last: dot.seq }), view: ({ last }) => ({ value: last, deleted: false, siblings: [] })`,
    ],
    [
      "repetition",
      `apply: (state) => ({ n: (state.n ?? 0) + 1 }), view: ({ n }) => ({ value: n, deleted: false, siblings: [] })`,
    ],
    ["storing", `encode: () => ({})`],
    ["compaction", `compact: () => ({})`],
    ["determinism", `view: () => ({ value: Math.random(), deleted: false, siblings: [] })`],
    [
      "input",
      `apply: (state, event) => { if (event.data !== null && typeof event.data === "object") event.data.mine = 1; return right.apply(state, event); }`,
    ],
  ])("%s", async (rule, methods) => {
    const found = await check(await load(`wrong-${rule}`, own(methods)));
    expect(found.map((violation) => violation.rule)).toContain(rule);
  });
});
