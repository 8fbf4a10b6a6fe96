import { describe, expect, test } from "vitest";
import { MOST_LATE_MS } from "../../shared/consistency/clock/stamp.ts";
import { vectorClock } from "../../shared/consistency/resolve/vector-clock/vector-clock.ts";
import { foldAll, foldEventOf, stored } from "../support/fold-events.ts";

const fields = vectorClock("field");
const siblingsOf = (state: ReturnType<typeof fields.empty>) =>
  fields
    .view(state)
    .siblings.map(({ path, versions }) => [path.join("."), versions.map(({ value }) => value)]);

const CONCURRENT = [
  foldEventOf(1, { colour: "red", size: 1 }, { node: "a", ms: 10, seen: {} }),
  foldEventOf(2, { colour: "blue" }, { node: "b", ms: 20, seen: {} }),
];

describe("concurrent writes", () => {
  test("stay side by side, the newest shown first, and are told", () => {
    const { state, conflicts } = foldAll(fields, CONCURRENT);
    expect(fields.view(state).value).toEqual({ colour: "blue", size: 1 });
    expect(siblingsOf(state)).toEqual([["colour", ["blue", "red"]]]);
    expect(conflicts).toMatchObject([
      {
        path: ["colour"],
        kind: "siblings",
        rule: "concurrent",
        winner: { id: "b2" },
        loser: { id: "a1" },
        certain: true,
      },
    ]);
  });

  test("are merged by a write of one who has read them", () => {
    const { state } = foldAll(fields, CONCURRENT);
    const seen = Object.fromEntries(fields.seen(state));
    const { state: merged } = foldAll(
      fields,
      [foldEventOf(3, { colour: "violet" }, { node: "c", seen })],
      state,
    );
    expect(siblingsOf(merged)).toEqual([]);
    expect(fields.view(merged).value).toEqual({ colour: "violet", size: 1 });
  });

  test("of which one was read: the other stays", () => {
    const { state } = foldAll(fields, [
      ...CONCURRENT,
      foldEventOf(3, { colour: "violet" }, { node: "c", seen: { "b/1": 2 } }),
    ]);
    expect(siblingsOf(state)).toEqual([["colour", ["red", "violet"]]]);
  });

  test("are none where both wrote the same", () => {
    const { state, conflicts } = foldAll(fields, [
      CONCURRENT[0] as (typeof CONCURRENT)[number],
      foldEventOf(2, { colour: "red" }, { node: "b", seen: {} }),
    ]);
    expect([siblingsOf(state), conflicts]).toEqual([[], []]);
  });

  test("of different fields do not meet", () => {
    const { conflicts } = foldAll(fields, [
      foldEventOf(1, { a: 1 }, { seen: {} }),
      foldEventOf(2, { b: 1 }, { node: "b", seen: {} }),
    ]);
    expect(conflicts).toEqual([]);
  });

  test("of a value and of what lies in it: both are kept", () => {
    const { state } = foldAll(fields, [
      foldEventOf(1, { address: { city: "Bern" } }, { node: "a", ms: 10, seen: {} }),
      foldEventOf(2, { address: "unknown" }, { node: "b", ms: 5, seen: {} }),
    ]);
    expect(siblingsOf(state)).toEqual([["address", [{ city: "Bern" }, "unknown"]]]);
  });
});

test("a delete and a write that had not seen each other are both there", () => {
  const { state } = foldAll(fields, [
    foldEventOf(1, { a: 1 }, { node: "a", ms: 1, seen: {} }),
    foldEventOf(2, null, { node: "b", ms: 5, seen: { "a/1": 1 } }),
    foldEventOf(3, { a: 2 }, { node: "a", ms: 3, seen: { "a/1": 1 } }),
  ]);
  expect(fields.view(state)).toMatchObject({ value: null, deleted: true });
  expect(siblingsOf(state)).toEqual([["", [null, { a: 2 }]]]);
});

test("a domain's policy makes one value of several, and the next write covers them all", () => {
  const largest = vectorClock("field", ({ path, versions }) =>
    path[0] === "size" ? Math.max(...versions.map(({ value }) => Number(value))) : undefined,
  );
  const { state, conflicts } = foldAll(largest, [
    foldEventOf(1, { size: 5, name: "x" }, { node: "a", seen: {} }),
    foldEventOf(2, { size: 3, name: "y" }, { node: "b", seen: {} }),
  ]);
  const { value, siblings } = largest.view(stored(largest, state));
  expect(value).toEqual({ name: "y", size: 5 });
  expect(siblings.map(({ path }) => path)).toEqual([["name"]]);
  expect(conflicts.map(({ kind, rule }) => [kind, rule])).toContainEqual(["merged", "policy"]);
});

test("what a retired node wrote counts as seen by all that come later", () => {
  const { state } = foldAll(fields, [
    CONCURRENT[0] as (typeof CONCURRENT)[number],
    foldEventOf(2, { colour: "blue" }, { node: "b", seen: {}, retired: ["a"] }),
  ]);
  expect(siblingsOf(state)).toEqual([]);
});

test("a delete that stands alone is forgotten when all that comes must have seen it", () => {
  const begin = 1e12;
  const { state } = foldAll(fields, [
    foldEventOf(1, { a: 1, b: 1 }, { ms: begin, ingestMs: begin }),
    foldEventOf(2, { a: null }, { ms: begin, ingestMs: begin + 5 }),
  ]);
  const kept = JSON.stringify(
    fields.encode(fields.compact(state, { index: 2, ingestMs: begin + 5 + MOST_LATE_MS })),
  );
  const gone = JSON.stringify(
    fields.encode(fields.compact(state, { index: 2, ingestMs: begin + 6 + MOST_LATE_MS })),
  );
  expect(kept).toContain('"a"');
  expect(gone).not.toContain('"a"');
  expect(fields.view(state).value).toEqual({ b: 1 });
});

test("by document whole values are siblings", () => {
  const documents = vectorClock("document");
  const { state } = foldAll(documents, CONCURRENT);
  expect(documents.view(state)).toMatchObject({
    value: { colour: "blue" },
    siblings: [{ path: [], versions: [{ id: "b2" }, { id: "a1", value: { colour: "red", size: 1 } }] }],
  });
});
