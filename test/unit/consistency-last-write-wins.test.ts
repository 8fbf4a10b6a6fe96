import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOST_LATE_MS } from "../../shared/consistency/clock/stamp.ts";
import { lastWriteWins } from "../../shared/consistency/resolve/last-write-wins/last-write-wins.ts";
import { mergePatch } from "../support/convergence/naive-view.ts";
import { foldAll, foldEventOf, stored } from "../support/fold-events.ts";

const fields = lastWriteWins("field");
const valueAfter = (...data: unknown[]) =>
  fields.view(
    foldAll(
      fields,
      data.map((one, n) => foldEventOf(n + 1, one)),
    ).state,
  ).value;

describe("RFC 7396", () => {
  /** Appendix A: original, patch, result. */
  const CASES: readonly (readonly [unknown, unknown, unknown])[] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    // The RFC's target {"e":null} is no value that merge patches lead to: null there means that nothing is.
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];

  test.each(CASES)("%j patched with %j is %j", (original, patch, result) => {
    expect(valueAfter(original, patch)).toEqual(result);
    expect(mergePatch(original, patch)).toEqual(result);
  });

  test("section 3's example", () => {
    const original = {
      title: "Goodbye!",
      author: { givenName: "John", familyName: "Doe" },
      tags: ["example", "sample"],
      content: "This will be unchanged",
    };
    const patch = {
      title: "Hello!",
      phoneNumber: "+01-123-456-7890",
      author: { familyName: null },
      tags: ["example"],
    };
    expect(valueAfter(original, patch)).toEqual({
      title: "Hello!",
      author: { givenName: "John" },
      tags: ["example"],
      content: "This will be unchanged",
      phoneNumber: "+01-123-456-7890",
    });
  });

  test("a target with a null in it, which no event can make, keeps nothing of it here", () => {
    expect(valueAfter({ e: null }, { a: 1 })).toEqual({ a: 1 });
  });
});

test("of each field the later write by clock counts, in whatever order they come", () => {
  const first = foldEventOf(1, { name: "late", size: 1 }, { node: "a", ms: 50 });
  const second = foldEventOf(2, { name: "early", colour: "red" }, { node: "b", ms: 20 });
  for (const events of [
    [first, second],
    [second, first],
  ]) {
    const { state } = foldAll(fields, events);
    expect(fields.view(state)).toEqual({
      value: { colour: "red", name: "late", size: 1 },
      deleted: false,
      siblings: [],
    });
  }
});

test("a delete does not resurrect by an older write, and a newer one begins anew", () => {
  const { state } = foldAll(fields, [
    foldEventOf(1, { a: { x: 1 }, b: 1 }, { ms: 10 }),
    foldEventOf(2, null, { ms: 30, node: "b" }),
    foldEventOf(3, { a: { y: 2 } }, { ms: 20, node: "c" }),
  ]);
  expect(fields.view(state)).toEqual({ value: null, deleted: true, siblings: [] });
  const { state: again } = foldAll(
    fields,
    [foldEventOf(4, { a: { z: 3 } }, { ms: 40 })],
    stored(fields, state),
  );
  expect(fields.view(again).value).toEqual({ a: { z: 3 } });
});

describe("conflicts", () => {
  const first = foldEventOf(1, { name: "one", kept: 1 }, { node: "a", ms: 10, seen: {} });

  test("none where the writer had seen what it wrote over", () => {
    const { conflicts } = foldAll(fields, [
      first,
      foldEventOf(2, { name: "two" }, { node: "b", seen: { "a/1": 1 }, ms: 20 }),
    ]);
    expect(conflicts).toEqual([]);
  });

  test("none where both wrote the same", () => {
    const { conflicts } = foldAll(fields, [
      first,
      foldEventOf(2, { name: "one" }, { node: "b", seen: {}, ms: 20 }),
    ]);
    expect(conflicts).toEqual([]);
  });

  test("a write that nobody had seen is told with what won and why", () => {
    const { conflicts } = foldAll(fields, [
      first,
      foldEventOf(2, { name: "two" }, { node: "b", seen: {}, ms: 20 }),
    ]);
    expect(conflicts).toMatchObject([
      {
        path: ["name"],
        kind: "lost",
        rule: "later clock",
        winner: { id: "b2", value: "two" },
        loser: { id: "a1", value: "one", dot: { lane: "a/1", seq: 1 } },
        certain: true,
      },
    ]);
  });

  test("of one that comes later and is older, too; ties go by origin", () => {
    const { conflicts } = foldAll(fields, [
      first,
      foldEventOf(2, { name: "older" }, { node: "b", seen: {}, ms: 5 }),
      foldEventOf(3, { name: "tie" }, { node: "0", seen: {}, ms: 10 }),
    ]);
    expect(conflicts.map(({ rule, winner, loser }) => [rule, winner?.id, loser?.id])).toEqual([
      ["later clock", "a1", "b2"],
      ["tie: origin", "a1", "03"],
    ]);
  });

  test("not certain when the later writer does not say what it had seen", () => {
    const { conflicts } = foldAll(fields, [first, foldEventOf(2, { name: "two" }, { node: "b", ms: 20 })]);
    expect(conflicts.map(({ certain }) => certain)).toEqual([false]);
  });

  test("a delete tells what it took away", () => {
    const { conflicts } = foldAll(fields, [first, foldEventOf(2, null, { node: "b", seen: {}, ms: 20 })]);
    expect(conflicts.map(({ kind, path, loser }) => [kind, path, loser?.value])).toEqual([
      ["removed", ["name"], "one"],
      ["removed", ["kept"], 1],
    ]);
  });
});

test("nothing that nobody had seen goes without being told", () => {
  let made = 0;
  const scalar = fc.constantFrom("write", "write", "write", "delete");
  const { patch } = fc.letrec<{ patch: unknown; value: unknown }>((tie) => ({
    patch: fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 3 }),
    value: fc.oneof({ maxDepth: 3 }, scalar, tie("patch")),
  }));
  const history = fc.array(fc.record({ patch, ms: fc.nat({ max: 30 }) }), { minLength: 2, maxLength: 12 });
  /** Each written value is another one, so that it can be told wherever it turns up. */
  const distinct = (data: unknown): unknown => {
    if (data === "delete") return null;
    if (data === "write") return `value-${made++}`;
    return Object.fromEntries(Object.entries(data as object).map(([key, inner]) => [key, distinct(inner)]));
  };
  const valuesIn = (json: unknown) => new Set(JSON.stringify(json ?? null).match(/value-\d+(?=")/g));

  fc.assert(
    fc.property(history, (events) => {
      let state = fields.empty();
      for (const [n, event] of events.entries()) {
        const data = distinct(event.patch);
        const there = [fields.view(state).value, data].flatMap((one) => [...valuesIn(one)]);
        const folded = foldAll(
          fields,
          [foldEventOf(n + 1, data, { node: `n${n % 3}`, ms: event.ms, seen: {} })],
          state,
        );
        state = folded.state;
        const left = valuesIn(fields.view(state).value);
        const told = valuesIn(folded.conflicts.map(({ loser }) => loser?.value));
        for (const value of there) expect(left.has(value) || told.has(value)).toBe(true);
        for (const value of told) expect(left.has(value)).toBe(false);
      }
    }),
    { numRuns: 1000 },
  );
});

test("deletes are forgotten when nothing so old can come any more, and not before", () => {
  const begin = 1e12;
  const { state } = foldAll(fields, [
    foldEventOf(1, { a: 1, b: 1 }, { ms: begin }),
    foldEventOf(2, { a: null }, { ms: begin + 5 }),
  ]);
  const size = () => JSON.stringify(fields.encode(state)).length;
  const before = size();
  fields.compact(state, { index: 2, ingestMs: begin + 5 + MOST_LATE_MS });
  expect(size()).toBe(before);
  fields.compact(state, { index: 2, ingestMs: begin + 6 + MOST_LATE_MS });
  expect(size()).toBeLessThan(before);
  expect(fields.view(state).value).toEqual({ b: 1 });
});

test("lanes of which nothing is left leave the vector", () => {
  const { state } = foldAll(fields, [
    foldEventOf(1, { a: 1 }, { node: "gone" }),
    foldEventOf(2, { a: 2 }, { node: "b" }),
  ]);
  expect([...fields.seen(state).keys()]).toEqual(["gone/1", "b/1"]);
  expect([...fields.seen(fields.compact(state, { index: 2, ingestMs: 2 })).keys()]).toEqual(["b/1"]);
});

test("names that mean something to JavaScript are names like others", () => {
  const patch = JSON.parse('{"__proto__":{"x":1},"constructor":2,"toString":{"__proto__":null}}');
  const { state } = foldAll(fields, [
    foldEventOf(1, patch),
    foldEventOf(2, JSON.parse('{"__proto__":{"y":2}}')),
  ]);
  for (const one of [state, stored(fields, state)])
    expect(JSON.stringify(fields.view(one).value)).toBe(
      '{"__proto__":{"x":1,"y":2},"constructor":2,"toString":{}}',
    );
  expect(({} as Record<string, unknown>).x).toBeUndefined();
});

test("by document the whole value counts", () => {
  const documents = lastWriteWins("document");
  const { state, conflicts } = foldAll(documents, [
    foldEventOf(1, { a: 1, b: { c: null } }, { ms: 20, seen: {} }),
    foldEventOf(2, { a: 2 }, { ms: 10, node: "b", seen: {} }),
  ]);
  expect(documents.view(state).value).toEqual({ a: 1, b: { c: null } });
  expect(conflicts).toMatchObject([{ path: [], loser: { value: { a: 2 } } }]);
});

test("another resolver's state is refused", () => {
  for (const wrong of [null, {}, { v: 2 }, { v: 1, seen: {}, versions: 5, field: {} }])
    expect(() => fields.decode(wrong)).toThrow(TypeError);
});
