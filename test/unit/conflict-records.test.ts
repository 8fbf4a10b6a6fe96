import { expect, test } from "vitest";
import { readFilter } from "../../coordinator/conflicts/conflicts-api.ts";
import { describeConflicts, MAX_VALUE_BYTES } from "../../coordinator/conflicts/describe-conflict.ts";
import type { Conflict, VersionRef } from "../../shared/consistency/resolve/resolver.ts";

const HOUR = 3_600_000;
const AHEAD = 2 ** 32;

const ref = (node: string, ms: number, value?: unknown, order = 0): VersionRef => {
  const dot = { lane: `${node}/1`, seq: 7 };
  return { id: `${node}-7`, dot, stamp: { ...dot, ms, order }, ...(value !== undefined && { value }) };
};
const lost: Conflict = {
  path: ["name"],
  kind: "lost",
  rule: "later clock",
  winner: ref("leaf2", HOUR + 180_000, "Ada B"),
  loser: ref("leaf1", HOUR, "Ada A"),
  certain: true,
};
const noted = (conflict: Conflict, index = 12) => ({
  conflict,
  event: { domain: "person", aggregate: "ada", ingestMs: 2 * HOUR },
  position: { reign: { epoch: 3, id: "ab" }, index },
  resolver: "last-write-wins",
});
const whyOf = (conflict: Conflict) => describeConflicts([noted(conflict)])[0]?.why;

test("a record says what was written where and when, what stands, and why", () => {
  const [record] = describeConflicts([noted(lost)]);
  expect(record).toMatchObject({ id: "12.1", log: "3-ab.12", atMs: 2 * HOUR, path: ["name"], certain: true });
  expect(record?.loser).toEqual({
    event: "leaf1-7",
    node: "leaf1",
    dot: "leaf1/1:7",
    countsMs: HOUR,
    order: 0,
    bound: null,
    value: "Ada A",
  });
  expect(record?.why).toBe(
    `Of name, leaf2 wrote "Ada B" at 1970-01-01T01:03:00.000Z, and leaf1 wrote "Ada A" at 1970-01-01T01:00:00.000Z; ` +
      `neither is known to have seen the other's. The later time wins, so "Ada B" by leaf2 stands, and "Ada A" by leaf1 is kept in this journal only.`,
  );
});

test("what is uncertain, removed or bounded is said in words", () => {
  expect(whyOf({ ...lost, certain: false })).toContain("It may have been no conflict");
  expect(whyOf({ ...lost, winner: ref("leaf2", HOUR, "B", AHEAD + 3) })).toContain(
    "The clock of leaf2 was ahead: what it wrote counts as of when the hub took it.",
  );
  const removed = whyOf({ ...lost, kind: "removed", winner: ref("leaf2", HOUR, null) });
  expect(removed).toContain("leaf2 removed it at");
  expect(removed).toContain('the removal by leaf2 stands, and "Ada A" by leaf1 is kept');
  expect(whyOf({ ...lost, kind: "siblings", rule: "concurrent" })).toContain("Both are kept side by side");
  const set: Conflict = { ...lost, kind: "merged", rule: "unseen add wins over delete" };
  expect(whyOf(set)).toContain('leaf1 removed "Ada A" at');
  const { winner: _, ...alone } = set;
  expect(whyOf(alone)).toContain("it is not known to have seen what stands.");
  const around = whyOf({ ...lost, winner: ref("leaf2", HOUR) });
  expect(around).toContain("something else around it by leaf2 stands");
  expect(whyOf({ ...lost, rule: "longest name" })).toContain('By the rule "longest name"');
});

test("who wrote the same has lost nothing", () => {
  const [winner, loser] = [ref("leaf2", 2, { a: [1] }), ref("leaf1", 1, { a: [1] })];
  expect(describeConflicts([noted({ ...lost, winner, loser })])).toEqual([]);
});

test("conflicts of one event are numbered, those of the next anew: the same log gives the same ids", () => {
  const ids = describeConflicts([noted(lost, 4), noted(lost, 4), noted(lost, 9)]).map(({ id }) => id);
  expect(ids).toEqual(["4.1", "4.2", "9.1"]);
});

test("of a long value its length is kept", () => {
  const value = "x".repeat(MAX_VALUE_BYTES);
  const [record] = describeConflicts([noted({ ...lost, loser: ref("leaf1", 1, value) })]);
  expect(record?.loser).toMatchObject({ cutBytes: MAX_VALUE_BYTES + 2 });
  expect(record?.loser).not.toHaveProperty("value");
  expect(record?.why).toContain(`leaf1 wrote a value of ${MAX_VALUE_BYTES + 2} bytes`);
});

test("what is asked for is checked", () => {
  const read = (text: string) => readFilter(new URLSearchParams(text));
  expect(read("")).toEqual({ filter: { limit: 100 } });
  expect(read("domain=person&aggregate=a.b&limit=3")).toEqual({
    filter: { domain: "person", aggregate: "a.b", limit: 3 },
  });
  expect(read("aggregate=ada")).toEqual({ problem: "aggregate: write its domain too, as domain=person" });
  expect(read("domain=_cim")).toEqual({ problem: 'domain: "_cim" is no domain; write one word, as person' });
  expect(read("domain=person&aggregate=*")).toHaveProperty("problem");
  expect(read("limit=0")).toEqual({ problem: 'limit: "0" is not a number from 1 to 1000' });
  expect(read("open=1")).toHaveProperty("problem");
});
