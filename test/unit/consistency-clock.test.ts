import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Clock,
  formatClock,
  MAX_CLOCK_LENGTH,
  parseClock,
} from "../../shared/consistency/clock/clock-header.ts";
import {
  compareTimes,
  HybridClock,
  MAX_COUNTER,
  MAX_MS,
} from "../../shared/consistency/clock/hybrid-clock.ts";
import { LaneHistory } from "../../shared/consistency/clock/lane-history.ts";
import {
  compareStamps,
  effectiveTime,
  MOST_LATE_MS,
  type Stamp,
  timeOfStamp,
} from "../../shared/consistency/clock/stamp.ts";
import { covers, decodeVector, encodeVector } from "../../shared/consistency/clock/version-vector.ts";

describe("hybrid clock", () => {
  test("gives later times though the clock on the wall stands still or goes back", () => {
    let wallMs = 1000;
    const clock = new HybridClock(() => wallMs);
    const given = [clock.now(), clock.now()];
    wallMs = 400;
    given.push(clock.now());
    clock.seen({ ms: 2000, counter: 7 });
    given.push(clock.now());
    wallMs = 3000;
    given.push(clock.now());
    expect(given).toEqual([
      { ms: 1000, counter: 0 },
      { ms: 1000, counter: 1 },
      { ms: 1000, counter: 2 },
      { ms: 2000, counter: 8 },
      { ms: 3000, counter: 0 },
    ]);
  });

  test("a counter that is full goes on in the next ms", () => {
    const clock = new HybridClock(() => 5);
    clock.seen({ ms: 9, counter: MAX_COUNTER });
    expect(clock.now()).toEqual({ ms: 10, counter: 0 });
  });

  test("what was seen and is older changes nothing", () => {
    const clock = new HybridClock(() => 50);
    clock.now();
    clock.seen({ ms: 20, counter: 99 });
    expect(clock.now()).toEqual({ ms: 50, counter: 1 });
  });
});

describe("Cim-Clock", () => {
  const lane = fc.oneof(
    fc.constant("."),
    fc
      .tuple(fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}$/), fc.integer({ min: 1, max: 1e9 }))
      .map((p) => p.join("/")),
    fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}$/).map((node) => `${node}/c`),
  );
  const time = fc.record({ ms: fc.nat({ max: MAX_MS }), counter: fc.nat({ max: MAX_COUNTER }) });
  const seen = fc
    .array(fc.tuple(lane, fc.integer({ min: 1, max: 2 ** 40 })), { maxLength: 20 })
    .map((p) => new Map(p));

  test("what is written is read again, nothing seen included", () => {
    fc.assert(
      fc.property(time, fc.option(seen, { nil: undefined }), (written, vector) => {
        const read = parseClock(
          formatClock(vector ? { time: written, seen: vector } : { time: written }),
        ) as Clock;
        expect(read.time).toEqual(written);
        expect(read.seen && encodeVector(read.seen)).toEqual(vector && encodeVector(vector));
        expect(read.seen === undefined).toBe(vector === undefined);
      }),
    );
  });

  test("of any other text it reads nothing, or what it would write itself", () => {
    const characters = fc.constantFrom(
      ..."0123456789.:/ -cab\u0000é".split(""),
      "1764000000000.3",
      " .:",
      " n1/2:",
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(characters, { maxLength: 30 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const read = parseClock(text);
        if (!read) return;
        expect(Number.isSafeInteger(read.time.ms) && Number.isSafeInteger(read.time.counter)).toBe(true);
        expect(parseClock(formatClock(read))?.time).toEqual(read.time);
        for (const [, seq] of read.seen ?? []) expect(Number.isSafeInteger(seq) && seq >= 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    "",
    "5",
    "5.",
    ".5",
    "-5.0",
    "05.0",
    "5.0 ",
    "5.0  .:1",
    "5.0 leaf1:1",
    "5.0 leaf1/0:1",
    "5.0 leaf1/1:",
    "5.0 leaf1/1:-1",
    "5.0 leaf1/1:1 leaf1/1:2",
    "5.0 LEAF/1:1",
    "9e15.0",
    "9999999999999999.0",
    `5.${2 ** 31}`,
    `5.0 .:${2 ** 53}`,
    `5.0 .:1${" a/1:1".repeat(MAX_CLOCK_LENGTH / 6)}`,
  ])("%# is none", (text) => {
    expect(parseClock(text)).toBeUndefined();
  });
});

describe("version vectors", () => {
  test("cover what is up to their sequence, lane by lane", () => {
    const seen = new Map([["a/1", 3]]);
    expect([1, 3, 4].map((seq) => covers(seen, { lane: "a/1", seq }))).toEqual([true, true, false]);
    expect(covers(seen, { lane: "a/2", seq: 1 })).toBe(false);
  });

  test("read again from JSON; anything else is refused", () => {
    const text = JSON.stringify(
      encodeVector(
        new Map([
          ["b/1", 2],
          ["a/1", 7],
          ["x/1", 0],
        ]),
      ),
    );
    expect(text).toBe('{"a/1":7,"b/1":2}');
    expect(decodeVector(JSON.parse(text))).toEqual(
      new Map([
        ["a/1", 7],
        ["b/1", 2],
      ]),
    );
    for (const wrong of [null, [], 5, { "a/1": -1 }, { "a/1": "7" }, { "a/1": 0.5 }])
      expect(() => decodeVector(wrong)).toThrow(/no version vector/);
  });
});

describe("stamps", () => {
  const stamp = (
    clock: { ms: number; counter: number },
    ingestMs: number,
    index: number,
    lane = "a/1",
  ): Stamp => ({
    ...effectiveTime(clock, ingestMs, index),
    lane,
    seq: index,
  });

  test("a clock that is ahead counts as when the event was taken, whatever it says", () => {
    const ahead = stamp({ ms: 9e12, counter: 5 }, 1000, 1);
    expect(ahead.ms).toBe(1000);
    expect(compareStamps(stamp({ ms: 1001, counter: 0 }, 1001, 2), ahead)).toBeGreaterThan(0);
    expect(compareStamps(stamp({ ms: 1000, counter: 9 }, 1001, 2), ahead)).toBeLessThan(0);
  });

  test("what comes too late counts as from the earliest time there is", () => {
    const now = 1e13;
    const late = stamp({ ms: 5, counter: 0 }, now, 1);
    expect(late.ms).toBe(now - MOST_LATE_MS);
    expect(compareStamps(late, stamp({ ms: now - MOST_LATE_MS, counter: 0 }, now, 2))).toBeLessThan(0);
  });

  test("ties go by origin, and none is left", () => {
    const [a, b] = [stamp({ ms: 1, counter: 0 }, 9, 1, "a/1"), stamp({ ms: 1, counter: 0 }, 9, 2, "b/1")];
    expect(compareStamps(a, b)).toBeLessThan(0);
    expect(compareStamps(b, a)).toBeGreaterThan(0);
    expect(compareStamps(a, { ...a })).toBe(0);
  });

  /** The log's writers: each reads the log's end, then writes by a clock that may be far off, and is taken some time later. */
  test("an event stands behind every event that its writer had seen in the log, whatever the clocks", () => {
    const step = fc.record({
      passMs: fc.constantFrom(0, 0, 1, 50, 40 * 24 * 3600 * 1000),
      skewMs: fc.constantFrom(0, -3, 3, -4e9, 4e9, 1e12, -1e12),
      heldMs: fc.constantFrom(0, 0, 1, 100 * 24 * 3600 * 1000),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 20 }), (steps) => {
        let hubMs = 1.7e12;
        let before: Stamp | undefined;
        for (const [n, { passMs, skewMs, heldMs }] of steps.entries()) {
          hubMs += passMs;
          const clock = new HybridClock(() => hubMs + skewMs);
          if (before) clock.seen(timeOfStamp(before));
          const written = clock.now();
          hubMs += heldMs;
          const next = stamp(written, hubMs, n + 1, `${"zyx"[n % 3]}/1`);
          if (before) expect(compareStamps(next, before)).toBeGreaterThan(0);
          before = next;
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("times compare as their stamps do", () => {
    expect(compareTimes({ ms: 1, counter: 9 }, { ms: 2, counter: 0 })).toBeLessThan(0);
    expect(timeOfStamp({ ms: 7, order: 3, lane: "a/1", seq: 1 })).toEqual({ ms: 7, counter: 3 });
  });
});

describe("lanes over incarnations", () => {
  const owner = (incarnation: number, lane = "e") => ({ node: "a", incarnation, lane });
  const history = new LaneHistory();
  history.add({ node: "a", incarnation: 1, predecessor: 0, common: { seq: 0 } }, 1);
  history.add({ node: "a", incarnation: 3, predecessor: 1, common: { seq: 40 } }, 50);
  history.add({ node: "a", incarnation: 4, predecessor: 3, common: { seq: 55 } }, 70);

  test.each([
    ["own lane, three incarnations back", { ".": 60 }, owner(4), { "a/4": 60, "a/3": 55, "a/1": 40 }],
    ["before the common part ends", { ".": 30 }, owner(4), { "a/4": 30, "a/3": 30, "a/1": 30 }],
    [
      "of another node",
      { "a/3": 50, "b/1": 2 },
      { node: "b", incarnation: 1, lane: "e" },
      { "a/3": 50, "a/1": 40, "b/1": 2 },
    ],
    [
      "named twice, by itself and as a later one's",
      { "a/1": 45, ".": 60 },
      owner(3),
      { "a/3": 60, "a/1": 45 },
    ],
    ["nothing", { ".": 0 }, owner(4), {}],
    ["a strong commit's", { ".": 5 }, owner(9, "c"), { "a/c": 5 }],
  ])("%s", (_, seen, of, expected) => {
    for (const lanes of [history, LaneHistory.decode(JSON.parse(JSON.stringify(history.encode())))])
      expect(encodeVector(lanes.normalise(new Map(Object.entries(seen)), of))).toEqual(
        encodeVector(new Map(Object.entries(expected))),
      );
  });

  test("records that lead in a ring end", () => {
    const ring = new LaneHistory();
    ring.add({ node: "a", incarnation: 1, predecessor: 2, common: { seq: 9 } }, 1);
    ring.add({ node: "a", incarnation: 2, predecessor: 1, common: { seq: 9 } }, 2);
    expect(encodeVector(ring.normalise(new Map([[".", 9]]), owner(2)))).toEqual({ "a/1": 9, "a/2": 9 });
  });

  test("a node is retired between its record and the lane with which it begins anew, in whatever order they are read", () => {
    const started = (incarnation: number, index: number) => (lanes: LaneHistory) =>
      lanes.add({ node: "b", incarnation, predecessor: incarnation - 1, common: { seq: 3 } }, index);
    const gone = (index: number) => (lanes: LaneHistory) => lanes.retire("b", index);
    const records = [started(1, 1), gone(10), started(2, 20), started(3, 25), gone(30)];
    const orders = [
      records,
      [...records].reverse(),
      [...records, ...records],
      [...records.slice(2), ...records],
    ];
    for (const order of orders) {
      const lanes = new LaneHistory();
      for (const take of order) {
        lanes.retiredAt(15);
        take(lanes);
      }
      const stored = LaneHistory.decode(JSON.parse(JSON.stringify(lanes.encode())));
      for (const history of [lanes, stored]) {
        const at = [5, 11, 19, 21, 27, 31, 2 ** 51].map((index) => [...history.retiredAt(index)].join());
        expect(at).toEqual(["", "b", "b", "", "", "b", "b"]);
      }
    }
  });

  test("two histories are merged to what either knows", () => {
    const [here, there] = [new LaneHistory(), new LaneHistory()];
    here.retire("b", 10);
    there.retire("b", 10);
    there.add({ node: "b", incarnation: 2, predecessor: 1, common: { seq: 3 } }, 20);
    there.retire("c", 15);
    for (const [one, other] of [
      [here, there],
      [there, here],
    ] as const) {
      const merged = LaneHistory.merge(one.encode(), other.encode());
      expect([11, 16, 21].map((index) => [...merged.retiredAt(index)].sort().join())).toEqual([
        "b",
        "b,c",
        "c",
      ]);
    }
  });
});
