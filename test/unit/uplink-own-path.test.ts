import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keepFrom, READER_WAIT_MS, readersNeed } from "../../agent/outbox/trim-rule.ts";
import { evenly } from "../../agent/uplink/evenly.ts";
import { isOnPath, ownPath, wantedPrints } from "../../agent/uplink/own-path.ts";
import type { LaneMark } from "../../shared/protocol/origin.ts";

const mark = (seq: number, print: string): LaneMark => ({ seq, print });
const NONE = mark(0, "");

describe("the way in a copy that led to this outbox", () => {
  it("is one part when the outbox never was another", () => {
    expect(ownPath(new Map([[1, NONE]]), new Map([["a7", 1]]), mark(7, "a7"))).toEqual([
      { incarnation: 1, after: 0, upTo: 7 },
    ]);
  });

  it("leaves out what an outbox wrote before it was rolled back", () => {
    const starts = new Map([
      [1, NONE],
      [2, mark(4, "a4")],
    ]);
    const owners = new Map([
      ["a4", 1],
      ["b6", 2],
    ]);
    const path = ownPath(starts, owners, mark(6, "b6"));
    expect(path).toEqual([
      { incarnation: 1, after: 0, upTo: 4 },
      { incarnation: 2, after: 4, upTo: 6 },
    ]);
    expect(isOnPath(path, 1, 4)).toBe(true);
    expect(isOnPath(path, 1, 5)).toBe(false);
    expect(isOnPath(path, 2, 5)).toBe(true);
    expect(isOnPath(path, 2, 7)).toBe(false);
  });

  it("leaves out the incarnation before, when an outbox was put back that parted earlier", () => {
    // Incarnation 3 is the first outbox again: it shares event 7 with 1, and with 2 only up to 4.
    const starts = new Map([
      [1, NONE],
      [2, mark(4, "a4")],
      [3, mark(7, "a7")],
    ]);
    const owners = new Map([
      ["a4", 1],
      ["a7", 1],
      ["c9", 3],
    ]);
    expect(ownPath(starts, owners, mark(9, "c9"))).toEqual([
      { incarnation: 1, after: 0, upTo: 7 },
      { incarnation: 3, after: 7, upTo: 9 },
    ]);
  });

  it("is none when the copy does not have the outbox's first event", () => {
    expect(ownPath(new Map([[1, NONE]]), new Map(), mark(7, "a7"))).toEqual([]);
  });

  it("ends where a copy begins, whatever its records say", () => {
    const loop = new Map([
      [1, mark(3, "x")],
      [2, mark(3, "x")],
    ]);
    const owners = new Map([
      ["x", 2],
      ["y", 1],
    ]);
    expect(ownPath(loop, owners, mark(5, "y")).length).toBeLessThan(4);
    expect([...wantedPrints(loop, mark(5, "y"))]).toEqual(["y", "x"]);
  });
});

describe("what of an outbox is kept", () => {
  it("is everything from the event at the lowest of its bounds on, that event too", () => {
    expect(keepFrom({ confirmed: 9, cameBack: 7, olderThanFloor: 8, readersNeed: undefined })).toBe(7);
    expect(keepFrom({ confirmed: 5, cameBack: 7, olderThanFloor: 8, readersNeed: undefined })).toBe(5);
    expect(keepFrom({ confirmed: 9, cameBack: 7, olderThanFloor: 2, readersNeed: undefined })).toBe(2);
    expect(keepFrom({ confirmed: 9, cameBack: undefined, olderThanFloor: 9, readersNeed: undefined })).toBe(
      9,
    );
    expect(keepFrom({ confirmed: 9, cameBack: 0, olderThanFloor: 9, readersNeed: undefined })).toBe(0);
    expect(keepFrom({ confirmed: 9, cameBack: undefined, olderThanFloor: 8, readersNeed: 3 })).toBe(3);
    expect(keepFrom({ confirmed: 5, cameBack: undefined, olderThanFloor: 8, readersNeed: 7 })).toBe(5);
  });
  it("waits for readers, but not for one that was silent for a day, nor with more than half of the outbox", () => {
    const at = 1_000_000_000;
    const reader = (firstUnread: number | undefined, agoMs: number) => ({
      firstUnread,
      savedAtMs: at - agoMs,
    });
    const room = { bytes: 50, maxBytes: 100 };
    expect(readersNeed([reader(7, 0), reader(4, READER_WAIT_MS - 1), reader(undefined, 0)], room, at)).toBe(
      4,
    );
    expect(readersNeed([reader(7, 0), reader(4, READER_WAIT_MS)], room, at)).toBe(7);
    expect(readersNeed([reader(undefined, 0)], room, at)).toBeUndefined();
    expect(readersNeed([reader(4, 0)], { bytes: 51, maxBytes: 100 }, at)).toBeUndefined();
  });
});

describe("a sample", () => {
  it("is evenly spread, in order, without doubles, and has the last one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 80 }), (size, count) => {
        const items = Array.from({ length: size }, (_, i) => i);
        const picked = evenly(items, count);
        expect(picked.length).toBe(Math.min(size, count));
        expect(picked.at(-1)).toBe(size - 1);
        expect(picked.every((item, i) => i === 0 || item > (picked[i - 1] as number))).toBe(true);
        const gaps = picked.map((item, i) => item - (picked[i - 1] ?? -1));
        expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThan(2);
      }),
    );
  });
});
