import { describe, expect, it } from "vitest";
import { LagFollowed } from "../../coordinator/fleet/lag-course.ts";
import { provenOf } from "../../coordinator/fleet/proven.ts";
import { type Finding, Findings, sideOf } from "../../coordinator/proof/finding.ts";
import { lineageOf } from "../../coordinator/proof/lineage.ts";
import type { EventDifference } from "../../shared/consistency/proof/compare.ts";

function finding(
  node: string,
  events: readonly EventDifference[] | null | undefined,
  change: Partial<Finding> = {},
): Finding {
  const ranges = [{ from: 1, to: 4096 }];
  return {
    node,
    of: "copy",
    look: "content",
    checkedAt: "2026-11-24T10:00:00.000Z",
    from: 1,
    upTo: 5000,
    events: 5000,
    hash: "0",
    disk: true,
    difference: events === undefined ? null : { ranges, more: false, side: null, since: "", events },
    ...change,
  };
}

const changed = (place: number): EventDifference => ({
  kind: "changed",
  place,
  id: `e${place}`,
  domain: "d",
});

describe("whose fault a difference is", () => {
  it("is the node's where others agree, the log's where all differ alike, and nobody's that can't be told", () => {
    const [damaged, well] = [finding("leaf1", [changed(7)]), finding("leaf2", undefined)];
    expect(sideOf(damaged, [damaged, well], [])).toBe("node");
    expect(sideOf(damaged, [damaged], [])).toBeNull();
    expect(sideOf(damaged, [damaged, finding("leaf2", [changed(7)])], [])).toBe("log");
    // Both have lost something, but not the same.
    expect(sideOf(damaged, [damaged, finding("leaf2", [changed(8)])], [])).toBe("node");
    const both = finding("leaf1", [changed(7), changed(8)]);
    expect(sideOf(both, [both, finding("leaf2", [changed(8)])], [])).toBeNull();
    const unread = finding("leaf2", undefined, { upTo: 0 });
    expect(sideOf(damaged, [damaged, unread], [])).toBeNull();
  });

  it("is the log's where that has less than was counted", () => {
    const extra = finding("leaf1", [{ kind: "extra", place: 7, id: "e7", domain: "d" }]);
    expect(sideOf(extra, [extra], [{ from: 1, to: 4096 }])).toBe("log");
    expect(sideOf(extra, [extra], [{ from: 4097, to: 8192 }])).toBeNull();
    const unnamed = finding("leaf1", null);
    expect(sideOf(unnamed, [unnamed], [{ from: 1, to: 4096 }])).toBe("log");
    expect(sideOf(unnamed, [unnamed, finding("leaf2", undefined)], [])).toBe("node");
  });
});

describe("findings", () => {
  it("keep a difference of the content until the content is looked at again, and since when it is known", () => {
    const findings = new Findings();
    findings.set(finding("leaf1", [changed(7)], { checkedAt: "a" }));
    findings.set(finding("leaf1", undefined, { look: "counted", checkedAt: "b" }));
    expect(findings.of("leaf1", "copy")?.difference).not.toBeNull();
    findings.set(finding("leaf1", undefined, { checkedAt: "c" }));
    expect(findings.of("leaf1", "copy")).toMatchObject({ difference: null, checkedAt: "c" });
    const found = (since: string) => {
      const one = finding("leaf2", [changed(7)], { checkedAt: since });
      return { ...one, difference: one.difference && { ...one.difference, since } };
    };
    findings.set(found("first"));
    findings.set(found("again"));
    expect(findings.of("leaf2", "copy")?.difference?.since).toBe("first");
  });
});

describe("an outbox's lineage", () => {
  it("goes back over what it shares with those before it", () => {
    const starts = [
      { incarnation: 2, predecessor: 1, common: 50 },
      { incarnation: 3, predecessor: 2, common: 40 },
    ];
    expect(lineageOf(starts, 1)).toEqual([{ incarnation: 1, after: 0, upTo: Number.MAX_SAFE_INTEGER }]);
    expect(lineageOf(starts, 2).slice(1)).toEqual([{ incarnation: 1, after: 0, upTo: 50 }]);
    // Put back to before the second one began: nothing of that is left.
    expect(lineageOf(starts, 3).slice(1)).toEqual([{ incarnation: 1, after: 0, upTo: 40 }]);
    expect(lineageOf(starts, 0)).toEqual([]);
  });
});

describe("a lag", () => {
  it("lasts since it began, tells when it will be over, and stands still when nothing moves", () => {
    const lag = new LagFollowed();
    expect(lag.look(10, 0, 0)).toMatchObject({ sinceMs: undefined });
    expect(lag.look(10, 1000, 1000)).toEqual({ sinceMs: 1000, stillMs: 0, estimateS: undefined });
    expect(lag.look(110, 900, 2000)).toEqual({ sinceMs: 1000, stillMs: 0, estimateS: 9 });
    expect(lag.look(110, 900, 9000)).toMatchObject({ sinceMs: 1000, stillMs: 7000 });
    // It grows.
    expect(lag.look(111, 9000, 10_000).estimateS).toBeUndefined();
    lag.look(120, 0, 11_000);
    expect(lag.look(120, 5, 12_000)).toMatchObject({ sinceMs: 12_000, stillMs: 0 });
  });

  it("is told as in-sync, lagging, stalled, diverged or unknown", () => {
    const course = { sinceMs: 1000, stillMs: 0, estimateS: 1.5 };
    expect(provenOf(0, { course, state: "lagging" }, undefined).state).toBe("in-sync");
    expect(provenOf(5, { course, state: "lagging" }, undefined)).toMatchObject({
      state: "lagging",
      since: "1970-01-01T00:00:01.000Z",
      estimateS: 2,
    });
    expect(provenOf(5, { course, state: "stalled" }, undefined).state).toBe("stalled");
    expect(provenOf(null, { course, state: "lagging" }, undefined).state).toBe("unknown");
    expect(provenOf(0, { course, state: "in-sync" }, finding("leaf1", [changed(7)])).state).toBe("diverged");
  });
});
