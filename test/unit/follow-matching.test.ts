import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { continuation } from "../../shared/follow/continuity.ts";
import { lastCommonPosition, type ReignHistory, sequenceOf } from "../../shared/follow/reign-history.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { formatLogPosition } from "../../shared/protocol/reign.ts";

/** A log as the letters of its messages' reigns: "aab" is two of reign a, then one of b. */
function history(letters: string, purged = 0): ReignHistory {
  const at = (i: number): LogPosition => ({
    reign: { epoch: letters.charCodeAt(i), id: letters[i] as string },
    index: i + 1,
  });
  const reigns = [];
  for (let i = purged; i < letters.length; i++) {
    if (i === purged || letters[i] !== letters[i - 1])
      reigns.push({ reign: at(i).reign, index: i + 1, seq: i + 1 - purged });
  }
  return { reigns, last: letters.length > purged ? at(letters.length - 1) : undefined };
}

const commonOf = (mine: string, theirs: string): number =>
  lastCommonPosition(history(mine), history(theirs))?.index ?? 0;

describe("where two logs part", () => {
  it.each([
    ["", "aab", 0],
    ["aab", "aab", 3],
    ["aa", "aabb", 2],
    ["aabb", "aa", 2],
    ["aaaa", "aab", 2],
    ["aabbb", "aaccc", 2],
    ["aabbb", "aabbcc", 4],
    ["bbb", "aaa", 0],
  ])("%s and %s after %i", (mine, theirs, index) => {
    expect(commonOf(mine, theirs)).toBe(index);
    expect(commonOf(theirs, mine)).toBe(index);
  });

  it("finds the longest common beginning of any two logs of one tree of reigns", () => {
    // A log is a path in a tree: at a branch the next reign is a new one, as a reign writes one sequence only.
    const step = fc.record({ keep: fc.nat({ max: 12 }), add: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 9 }), fc.nat(), fc.nat(), (steps, a, b) => {
        const logs = [""];
        steps.forEach(({ keep, add }, i) => {
          const base = logs[keep % logs.length] as string;
          const cut = base.slice(0, base.length - (keep % (base.length + 1)));
          logs.push(cut + String.fromCharCode(97 + i).repeat(add));
        });
        const mine = logs[a % logs.length] as string;
        const theirs = logs[b % logs.length] as string;
        let common = 0;
        while (common < Math.min(mine.length, theirs.length) && mine[common] === theirs[common]) common++;
        expect(commonOf(mine, theirs)).toBe(common);
      }),
      { numRuns: 500 },
    );
  });

  it("knows the sequence of a position that the log has", () => {
    const log = history("aabbb", 1);
    expect(sequenceOf(log, { reign: { epoch: 98, id: "b" }, index: 4 })).toBe(3);
    expect(sequenceOf(log, { reign: { epoch: 97, id: "a" }, index: 1 })).toBeUndefined();
    expect(sequenceOf(log, { reign: { epoch: 99, id: "c" }, index: 4 })).toBeUndefined();
  });
});

const A = { epoch: 1, id: "a" };
const B = { epoch: 2, id: "b" };

function message(position: LogPosition | undefined, previous?: LogPosition | null): StoredMessage {
  const record = previous !== undefined;
  return {
    seq: 1,
    timeUs: 1,
    subject: record ? "cim.events._cim.reign" : "cim.events.a.b.C",
    headerText: position ? `Cim-Log: ${formatLogPosition(position)}\r\n` : "",
    body: Buffer.from(record ? JSON.stringify({ reign: position?.reign, by: "x", previous }) : "{}"),
  };
}

describe("what continues a copy", () => {
  const after = { reign: A, index: 5 };
  const judge = (next: StoredMessage, everything = true) => continuation(after, next, everything).kind;

  it("is the next index of the same reign, the very same again, and nothing else", () => {
    expect(judge(message({ reign: A, index: 6 }))).toBe("continues");
    expect(judge(message({ reign: A, index: 5 }))).toBe("repeated");
    expect(judge(message({ reign: A, index: 7 }))).toBe("broken");
    expect(judge(message({ reign: A, index: 4 }))).toBe("broken");
    expect(judge(message({ reign: B, index: 5 }))).toBe("broken");
    expect(judge(message(undefined))).toBe("foreign");
    expect(continuation(undefined, message({ reign: A, index: 1 }), true).kind).toBe("continues");
  });

  it("may leave out others' domains, but no reign's record", () => {
    expect(judge(message({ reign: A, index: 9 }), false)).toBe("continues");
    expect(judge(message({ reign: B, index: 9 }), false)).toBe("broken");
    expect(judge(message({ reign: B, index: 9 }, { reign: A, index: 8 }), false)).toBe("continues");
  });

  it("is a new reign's record only when it was written behind what the copy has", () => {
    expect(judge(message({ reign: B, index: 6 }, after))).toBe("continues");
    expect(judge(message({ reign: B, index: 6 }))).toBe("broken");
    expect(judge(message({ reign: B, index: 6 }, null))).toBe("broken");
    expect(judge(message({ reign: B, index: 6 }, { reign: { epoch: 1, id: "z" }, index: 5 }))).toBe("broken");
    expect(judge(message({ reign: B, index: 6 }, { reign: A, index: 4 }))).toBe("broken");
    expect(judge(message({ reign: B, index: 9 }, { reign: A, index: 4 }), false)).toBe("broken");
    expect(judge({ ...message({ reign: B, index: 6 }, after), body: Buffer.from("{") })).toBe("broken");
  });
});
