import { describe, expect, test } from "vitest";
import * as Y from "yjs";
import { MOST_LATE_MS } from "../../shared/consistency/clock/stamp.ts";
import type { FieldType } from "../../shared/consistency/contract/contract.ts";
import { checkData } from "../../shared/consistency/resolve/check-data.ts";
import { crdt } from "../../shared/consistency/resolve/crdt/crdt.ts";
import { type EventParts, foldAll, foldEventOf, stored } from "../support/fold-events.ts";

const FIELDS: Readonly<Record<string, FieldType>> = {
  stock: "counter",
  visits: "counter-grow",
  colour: "multi-value",
  tags: "set",
  places: "map of counter",
  names: "map of register",
  rooms: "map of map of register",
  note: "text",
  steps: "list",
};
const typed = crdt(FIELDS, Y);

type Told = readonly [data: unknown, parts?: EventParts];

/** Each with the data of one event; node and what was seen as given. */
const valueAfter = (...events: readonly Told[]) => {
  const { state } = foldAll(
    typed,
    events.map(([data, parts], n) => foldEventOf(n + 1, data, parts)),
  );
  return typed.view(stored(typed, state)).value;
};
const NOTHING = { seen: {} };
const a = { node: "a", ...NOTHING };
const b = { node: "b", ...NOTHING };

describe("counters", () => {
  test("add up what was counted at the same time", () => {
    expect(valueAfter([{ stock: 5, visits: 1 }, a], [{ stock: -2, visits: 1 }, b])).toEqual({
      stock: 3,
      visits: 2,
    });
  });

  test("are exact beyond what a number holds, whatever the order", () => {
    const large = Number.MAX_SAFE_INTEGER;
    expect(valueAfter([{ stock: large }, a], [{ stock: large }, b], [{ stock: 3 }, a])).toEqual({
      stock: 2 * large + 3,
    });
    expect(
      valueAfter([{ stock: large }], [{ stock: large }], [{ stock: -large }], [{ stock: -large + 1 }]),
    ).toEqual({
      stock: 1,
    });
  });

  test("begin anew after a delete that saw all, and go on after one that did not", () => {
    expect(valueAfter([{ stock: 5 }, a], [{ stock: null }, { node: "b", seen: { "a/1": 1 } }])).toEqual({});
    const counted: readonly Told[] = [
      [{ stock: 5 }, a],
      [{ stock: 2 }, { node: "b", seen: { "a/1": 1 } }],
      [{ stock: null }, { node: "c", seen: { "a/1": 1 } }],
    ];
    expect(valueAfter(...counted)).toEqual({ stock: 7 });
    expect(
      valueAfter(...counted, [{ stock: null }, { node: "c", seen: { "a/1": 1, "b/1": 2 } }], [{ stock: 1 }]),
    ).toEqual({
      stock: 1,
    });
  });
});

describe("sets", () => {
  test("an element that was added while another took it out stays", () => {
    expect(
      valueAfter(
        [{ tags: { add: ["x", "y"] } }, a],
        [{ tags: { add: ["x"] } }, b],
        [{ tags: { remove: ["x", "y"] } }, { node: "c", seen: { "a/1": 1 } }],
      ),
    ).toEqual({ tags: ["x"] });
  });

  test("elements are JSON; the same one is in once", () => {
    expect(
      valueAfter([{ tags: { add: [{ a: 1, b: 2 }, 1, "1"] } }, a], [{ tags: { add: [{ b: 2, a: 1 }] } }, b]),
    ).toEqual({ tags: ["1", 1, { a: 1, b: 2 }] });
  });
});

test("registers: the later write; multi-values: both, as siblings", () => {
  const { state, conflicts } = foldAll(typed, [
    foldEventOf(1, { colour: "red", price: 1 }, { ...a, ms: 50 }),
    foldEventOf(2, { colour: "blue", price: 2 }, { ...b, ms: 20 }),
  ]);
  expect(typed.view(state)).toMatchObject({
    value: { colour: "red", price: 1 },
    siblings: [{ path: ["colour"], versions: [{ value: "red" }, { value: "blue" }] }],
  });
  expect(
    conflicts.map(({ path, kind, winner, loser }) => [path[0], kind, winner?.value, loser?.value]),
  ).toEqual([
    ["colour", "siblings", "red", "blue"],
    ["price", "lost", 1, 2],
  ]);
});

describe("maps", () => {
  test("each key by its type", () => {
    expect(
      valueAfter(
        [
          { places: { bern: 2 }, names: { x: "one" } },
          { ...a, ms: 9 },
        ],
        [
          { places: { bern: 3, ulm: 1 }, names: { x: "two", y: null } },
          { ...b, ms: 5 },
        ],
      ),
    ).toEqual({ names: { x: "one" }, places: { bern: 5, ulm: 1 } });
  });

  test("a delete of what is not there yet keeps out older writes that come later", () => {
    expect(
      valueAfter(
        [{ rooms: { hall: null } }, { ...a, ms: 9 }],
        [{ rooms: { hall: { light: 1 } } }, { ...b, ms: 5 }],
      ),
    ).toEqual({});
    expect(
      valueAfter(
        [{ rooms: { hall: null } }, { ...a, ms: 9 }],
        [{ rooms: { hall: { light: 1 } } }, { ...b, ms: 12 }],
      ),
    ).toEqual({ rooms: { hall: { light: 1 } } });
  });
});

describe("the whole aggregate", () => {
  test("is deleted, and stays so when older writes arrive", () => {
    const { state } = foldAll(typed, [
      foldEventOf(1, { stock: 1, price: 2 }, { ...a, ms: 1 }),
      foldEventOf(2, null, { node: "b", seen: { "a/1": 1 }, ms: 9 }),
      foldEventOf(3, { price: 3 }, { node: "c", seen: {}, ms: 5 }),
    ]);
    expect(typed.view(state)).toEqual({ value: null, deleted: true, siblings: [] });
    const end = { index: 3, ingestMs: 10 + MOST_LATE_MS };
    expect(typed.view(typed.compact(state, end))).toEqual({ value: null, deleted: true, siblings: [] });
  });

  test("that nobody deleted is an empty object when nothing is in it", () => {
    expect(valueAfter([{}])).toEqual({});
    expect(valueAfter([{ stock: 1 }], [{ stock: null }])).toEqual({});
  });
});

describe("text and lists", () => {
  /** What an edit of a copy of a document is as an event's data. */
  const edit = (client: number, before: readonly string[], change: (doc: Y.Doc) => void) => {
    const doc = new Y.Doc();
    doc.clientID = client;
    for (const update of before) Y.applyUpdate(doc, Buffer.from(update, "base64"));
    const known = Y.encodeStateVector(doc);
    change(doc);
    return Buffer.from(Y.encodeStateAsUpdate(doc, known)).toString("base64");
  };

  test("edits that were made at the same time are all in", () => {
    const first = edit(1, [], (doc) => doc.getText("text").insert(0, "Hello"));
    const left = edit(2, [first], (doc) => doc.getText("text").insert(5, " world"));
    const right = edit(3, [first], (doc) => doc.getText("text").insert(0, ">> "));
    const [one, two, three] = [first, left, right].map((update) => ({ note: { update } }));
    expect(valueAfter([one], [two, { node: "b" }], [three, { node: "c" }])).toEqual({
      note: ">> Hello world",
    });
    expect(valueAfter([one], [three, { node: "c" }], [two, { node: "b" }])).toEqual({
      note: ">> Hello world",
    });
  });

  test("lists hold any JSON", () => {
    const first = edit(1, [], (doc) => doc.getArray("list").insert(0, [{ do: "a" }, 2]));
    const second = edit(2, [first], (doc) => doc.getArray("list").delete(1, 1));
    expect(valueAfter([{ steps: { update: first } }], [{ steps: { update: second } }])).toEqual({
      steps: [{ do: "a" }],
    });
  });

  test("an update that Yjs can't read is refused, and the state as it was", () => {
    const first = edit(1, [], (doc) => doc.getText("text").insert(0, "Hello"));
    const { state } = foldAll(typed, [foldEventOf(1, { note: { update: first } })]);
    const half = Buffer.from(first, "base64").subarray(0, 9).toString("base64");
    const refused = foldEventOf(2, { stock: 1, note: { update: half } });
    expect(() => typed.apply(state, refused)).toThrow(/note is a text: its update is none that Yjs reads/);
    expect(typed.view(state).value).toEqual({ note: "Hello" });
  });
});

describe("data that is not of its field's type", () => {
  test.each([
    [5, /an object with an operation for each field/],
    [[], /an object with an operation for each field/],
    [{ stock: 0.5 }, /^stock is a counter: write a whole number$/],
    [{ stock: "5" }, /^stock is a counter/],
    [{ visits: -1 }, /not negative/],
    [{ tags: ["x"] }, /^tags is a set: write \{"add":/],
    [{ tags: {} }, /^tags is a set/],
    [{ tags: { add: ["x"], put: [] } }, /^tags is a set/],
    [{ places: 4 }, /^places is a map of counter/],
    [{ places: { bern: "x" } }, /^places\.bern is a counter/],
    [{ note: "text" }, /^note is a text/],
    [{ note: { update: "not base64!" } }, /^note is a text/],
  ])("%j", (data, fault) => {
    expect(checkData({ resolver: "crdt", fields: FIELDS }, data)).toMatch(fault);
    const { state } = foldAll(typed, [foldEventOf(1, { stock: 1 })]);
    expect(() => typed.apply(state, foldEventOf(2, data))).toThrow(TypeError);
    expect(typed.view(state).value).toEqual({ stock: 1 });
  });

  test("anything goes for registers, and null for all", () => {
    const nulls = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, null]));
    for (const data of [nulls, null, undefined, { undeclared: { any: ["thing"] }, colour: [1], toString: 5 }])
      expect(checkData({ resolver: "crdt", fields: FIELDS }, data)).toBeUndefined();
    expect(checkData({ resolver: "vector-clock", fields: {} }, "anything")).toBeUndefined();
  });
});

test("a state grows with what is in it, not with the events that led there", () => {
  let state = typed.empty();
  const size = () => JSON.stringify(typed.encode(state)).length;
  let after100 = 0;
  for (let n = 1; n <= 10_000; n++) {
    const data = { stock: 1, tags: { add: [`t${n % 10}`], remove: [`t${(n + 5) % 10}`] }, price: n };
    state = typed.apply(
      state,
      foldEventOf(n, data, { node: `n${n % 3}`, seen: { "n0/1": n - 1, "n1/1": n - 1, "n2/1": n - 1 } }),
    );
    if (n % 100 === 0) state = typed.compact(state, { index: n, ingestMs: n });
    if (n === 100) after100 = size();
  }
  expect(typed.view(state).value).toMatchObject({ stock: 10_000, price: 10_000 });
  expect(size()).toBeLessThan(2 * after100);
});
