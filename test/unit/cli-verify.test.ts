import { expect, it } from "vitest";
import { isProven, verifiedPairs } from "../../cli/verify-pairs.ts";
import { verifyLines } from "../../cli/verify-words.ts";
import type { Proven } from "../../coordinator/fleet/proven.ts";
import type { Finding } from "../../coordinator/proof/finding.ts";

const nowMs = Date.UTC(2026, 10, 24, 12);
const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();

const origin = (node: string, lagEvents: number | null, proven: Partial<Proven> = {}) => ({
  node,
  incarnation: 1,
  logged: 10,
  outboxLast: 10,
  lagEvents,
  lagSeconds: lagEvents ? 4 : 0,
  state: "in-sync" as const,
  since: null,
  estimateS: null,
  proof: null,
  ...proven,
});
const copy = (node: string, proven: Partial<Proven> = {}) => ({
  ...origin(node, 0, proven),
  domains: ["*"],
  index: 12,
  reign: "1-a",
  lagEvents: 0,
  lagSeconds: 0,
});
const found = (node: string, of: Finding["of"], difference: Finding["difference"] = null): Finding => ({
  node,
  of,
  look: "content",
  checkedAt: ago(0),
  from: 1,
  upTo: 1_200,
  events: 1_200,
  hash: "00000000000000ff",
  disk: true,
  difference,
});
const difference: Finding["difference"] = {
  ranges: [{ from: 1, to: 1_200 }],
  more: false,
  side: "node",
  since: ago(60),
  events: [{ kind: "missing", place: 7, id: "e7", domain: "person" }],
};

it("shows what agrees, what waits and what differs, and ends with 1 only for what stands still or differs", () => {
  const view = {
    origins: [
      origin("hub", 0),
      origin("leaf1", 5, { state: "lagging", since: ago(4), estimateS: 9 }),
      origin("leaf2", null, { state: "unknown" }),
    ],
    copies: [copy("leaf1")],
  };
  const result = {
    findings: [found("hub", "outbox"), found("leaf1", "copy", difference)],
    notCompared: [{ node: "leaf1", of: "outbox" as const, reason: "leaf1 does not answer" }],
    scrub: { since: null, done: null, parts: 0, last: null },
  };
  const pairs = verifiedPairs(view, result, undefined);
  expect(verifyLines(pairs, result.scrub, nowMs)).toEqual([
    "NODE   WHAT    STATE     UP TO  EVENTS  HASH",
    "hub    outbox  in-sync   1,200  1,200   00000000000000ff  read from the disk",
    "leaf1  outbox  lagging   -      -       -                 5 events behind, the oldest for 4 s, 9 s to go, not compared: leaf1 does not answer",
    "leaf1  copy    diverged  1,200  1,200   00000000000000ff  read from the disk",
    "leaf2  outbox  unknown   -      -       -                 not compared: its node can't be reached",
    "",
    "The copy of leaf1 differs from the log in 1-1200 of the log's indexes: other copies agree with the log.",
    "  missing  7  e7  person",
    "",
    "All that is stored was not yet read since the coordinator's start.",
  ]);
  expect(isProven(pairs)).toBe(false);
  expect(isProven(pairs.filter(({ of }) => of === "outbox"))).toBe(true);
  const stalled = { origins: [origin("leaf1", 5, { state: "stalled", since: ago(60) })], copies: [] };
  expect(isProven(verifiedPairs(stalled, { ...result, findings: [] }, undefined))).toBe(false);
});

it("does not tell of another domain what differs in one", () => {
  const { node: _, of: __, ...proof } = found("leaf1", "copy", difference);
  const view = { origins: [], copies: [copy("leaf1", { state: "diverged", since: ago(60), proof })] };
  const agreed = {
    findings: [found("leaf1", "copy")],
    notCompared: [],
    scrub: { since: null, done: null, parts: 0, last: null },
  };
  expect(verifiedPairs(view, agreed, "orders")[0]?.state).toBe("in-sync");
  // Found by the scrub: that the sums agree says nothing of it.
  expect(verifiedPairs(view, agreed, undefined)[0]?.state).toBe("diverged");
});
