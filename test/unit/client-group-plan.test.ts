import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterBeat,
  afterLeaving,
  partitionOf,
  Sightings,
  shareOut,
} from "../../shared/client/reader/group-plan.ts";
import type { GroupRecord } from "../../shared/client/reader/reader-record.ts";

const members = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 });
const owners = fc.array(fc.constantFrom("a", "b", "c", "d", "e", "f", ""), { minLength: 1, maxLength: 40 });

describe("partitions of a group", () => {
  it("are those of aggregates, for good", () => {
    expect(["a1", "a2", undefined].map((aggregate) => partitionOf("orders", aggregate, 8))).toEqual([
      4, 5, 6,
    ]);
    expect(partitionOf("orders", "ä", 256)).toBe(166);
    const spread = new Set(Array.from({ length: 200 }, (_, n) => partitionOf("orders", `a${n}`, 8)));
    expect(spread.size).toBe(8);
  });

  it("are all somebody's, evenly, and move only as far as that needs", () => {
    fc.assert(
      fc.property(owners, members, (before, present) => {
        const after = shareOut(before, present);
        expect(after.length).toBe(before.length);
        const counts = present.map((member) => after.filter((owner) => owner === member).length);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(before.length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        expect(shareOut(after, present)).toEqual(after);
        const kept = after.filter((owner, partition) => owner === before[partition]).length;
        const least = Math.floor(before.length / present.length);
        const had = present.map((member) => before.filter((owner) => owner === member).length);
        const more = before.length % present.length;
        const most = had.reduce((sum, count) => sum + Math.min(count, least), 0);
        const oneMore = had.filter((count) => count > least).length;
        expect(kept).toBe(most + Math.min(oneMore, more));
      }),
    );
  });
});

describe("a group's record", () => {
  const group: GroupRecord = {
    kind: "group",
    begin: "x",
    filter: {},
    members: { a: 7, b: 3 },
    owners: ["a", "b", "a", "b"],
  };
  it("has a new member with its share, and its own beat counted", () => {
    const joined = afterBeat({ ...group, owners: ["a", "a", "b", "b"] }, "c", new Set(["a", "b"]));
    expect(joined.members).toEqual({ a: 7, b: 3, c: 1 });
    expect(joined.owners.filter((owner) => owner === "c").length).toBe(1);
    expect(afterBeat(joined, "c", new Set(["a", "b", "c"]))).toEqual({
      ...joined,
      members: { a: 7, b: 3, c: 2 },
    });
  });
  it("loses who is gone, and who leaves", () => {
    expect(afterBeat(group, "a", new Set(["a"]))).toMatchObject({
      members: { a: 8 },
      owners: ["a", "a", "a", "a"],
    });
    expect(afterLeaving(group, "a")).toMatchObject({ members: { b: 3 }, owners: ["b", "b", "b", "b"] });
    expect(afterLeaving({ ...group, members: { a: 1 } }, "a").members).toEqual({});
  });
});

describe("who is present", () => {
  it("is whose beat moved within a lease of this clock", () => {
    const sightings = new Sightings(1000);
    expect(sightings.look({ a: 1, b: 1 }, 0)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 2, b: 1 }, 400)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 3, b: 1 }, 800)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 4, b: 1 }, 1000)).toEqual(new Set(["a"]));
    expect(sightings.look({ a: 5, b: 2 }, 1400)).toEqual(new Set(["a", "b"]));
  });
  it("is everybody again after this process, or its server, stood still", () => {
    const sightings = new Sightings(1000);
    sightings.look({ a: 1, b: 1 }, 0);
    expect(sightings.look({ a: 1, b: 1 }, 5000)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 2, b: 1 }, 5400)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 3, b: 1 }, 5800)).toEqual(new Set(["a", "b"]));
    expect(sightings.look({ a: 4, b: 1 }, 6000)).toEqual(new Set(["a"]));
  });
});
