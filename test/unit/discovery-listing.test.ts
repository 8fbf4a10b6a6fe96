import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import {
  type Held,
  heldNodes,
  NOTHING_HELD,
  reviewWithheld,
  SETTLE_MS,
  takeListing,
} from "../../shared/discovery/mass-disappearance.ts";
import { readListing } from "../../shared/discovery/read-listing.ts";
import { isNodeName } from "../../shared/protocol/names.ts";

const nodes = (...names: string[]): DiscoveredNode[] => names.map((name) => ({ name }));
const names = (held: Held) =>
  heldNodes(held)
    .map(({ name }) => name)
    .sort();

describe("an answer", () => {
  it("is read without what is wrong in it", () => {
    expect(
      readListing([
        { name: "leaf1", url: "nats://10.0.0.1:4222", region: "eu", capabilities: ["gpu", "a b", "gpu"] },
        { name: "leaf1", region: "us" },
        { name: "leaf2", url: "ftp://x", region: "e u", leafUrl: "nats-leaf://10.0.0.1:x" },
        { name: "Leaf\u001b[2J3\u009b" },
      ]),
    ).toEqual({
      kind: "listing",
      nodes: [
        { name: "leaf1", url: "nats://10.0.0.1:4222", region: "eu", capabilities: ["gpu"] },
        { name: "leaf2" },
      ],
      leftOut: [
        expect.stringMatching(/^leaf1: capability "a b" must be one word/),
        "leaf1 is listed twice: the first counts",
        expect.stringMatching(/^leaf2: leafUrl "nats-leaf:\/\/10.0.0.1:x" must be/),
        expect.stringMatching(/^leaf2: url "ftp:\/\/x" must be nats:\/\/host:port or/),
        expect.stringMatching(/^leaf2: region "e u" must be one word/),
        expect.stringMatching(/^"Leaf\\u001b\[2J3�" is no node name: write 1 to 63/),
      ],
    });
  });

  it("with nothing in it lists nothing; with nothing usable in it is no answer", () => {
    expect(readListing([])).toEqual({ kind: "listing", nodes: [], leftOut: [] });
    expect(readListing([{ name: "" }])).toMatchObject({ kind: "outage" });
  });

  it("may be anything: what is taken from it is always a node, each name once", () => {
    const entry = fc.record(
      {
        name: fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("leaf1", "leaf2")),
        url: fc.oneof(fc.string(), fc.webUrl()),
        region: fc.string({ unit: "binary" }),
        capabilities: fc.array(fc.string(), { maxLength: 80 }),
      },
      { requiredKeys: ["name"] },
    );
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const report = readListing(entries);
        if (report.kind === "outage") {
          expect(entries.some(({ name }) => isNodeName(name))).toBe(false);
          return;
        }
        const listed = report.nodes.map(({ name }) => name);
        expect(new Set(listed).size).toBe(listed.length);
        expect(listed.every(isNodeName)).toBe(true);
        for (const line of report.leftOut) expect(line).not.toMatch(/\p{Cc}/u);
      }),
      { numRuns: 50 },
    );
  });

  it("is not taken without end", () => {
    const many = Array.from({ length: 10_005 }, (_, i) => ({ name: `leaf${i}` }));
    const report = readListing(many);
    expect(report).toMatchObject({ leftOut: [expect.stringMatching(/more than 10000 nodes$/)] });
    expect(report.kind === "listing" && report.nodes.length).toBe(10_000);
  });
});

describe("a listing that shrinks", () => {
  const ten = takeListing(NOTHING_HELD, nodes(..."abcdefghij"), 0);

  it("by a few is believed", () => {
    expect(names(takeListing(ten, nodes(..."abcde"), 1))).toEqual([..."abcde"]);
  });

  it("by more than half is not, nor when it becomes empty", () => {
    const shrunk = takeListing(ten, nodes(..."abcd"), 1);
    expect(names(shrunk)).toEqual([..."abcdefghij"]);
    expect([...shrunk.withheld.keys()]).toEqual([..."efghij"]);
    const one = takeListing(NOTHING_HELD, nodes("a"), 0);
    expect(names(takeListing(one, [], 1))).toEqual(["a"]);
  });

  it("bit by bit within a minute is not believed either; what went before that is", () => {
    const few = takeListing(ten, nodes(..."abcdef"), 1000);
    expect(names(few)).toEqual([..."abcdef"]);
    expect(names(takeListing(few, nodes(..."abcd"), 30_000))).toEqual([..."abcdefghij"]);
    expect(names(takeListing(few, nodes(..."abcd"), 61_000))).toEqual([..."abcd"]);
  });

  it("and comes back withholds nothing any more", () => {
    const back = takeListing(takeListing(ten, [], 1), nodes(..."abcdefghij"), 2);
    expect(back.withheld.size).toBe(0);
  });

  it("does not get rid of withheld nodes by being repeated, or by losing few more", () => {
    const shrunk = takeListing(ten, nodes(..."abcd"), 1);
    const again = takeListing(takeListing(shrunk, nodes(..."abcd"), 2), nodes(..."abc"), 3);
    expect(names(again)).toEqual([..."abcdefghij"]);
    expect(again.withheld.get("j")).toMatchObject({ sinceMs: 1 });
  });

  it("is believed in time by one who sees some of the others, and not those it misses", () => {
    const shrunk = takeListing(ten, nodes(..."abcd"), 1000);
    const seen = new Set(["a", "e"]);
    expect(reviewWithheld(shrunk, seen, 1000 + SETTLE_MS - 1)).toBe(shrunk);
    expect(names(reviewWithheld(shrunk, seen, 1000 + SETTLE_MS))).toEqual([..."abcde"]);
  });

  it("is never believed by one who sees nobody: it may be cut off itself", () => {
    const empty = takeListing(ten, [], 1000);
    expect(names(reviewWithheld(empty, new Set(), 1000 + SETTLE_MS * 100))).toEqual([..."abcdefghij"]);
  });

  it("never empties what was known in one step, whatever is listed", () => {
    const listing = fc.uniqueArray(fc.constantFrom(..."abcdefghij"));
    fc.assert(
      fc.property(fc.array(listing, { minLength: 1 }), (listings) => {
        let held = NOTHING_HELD;
        for (const [at, listed] of listings.entries()) {
          const before = names(held);
          held = takeListing(held, nodes(...listed), at * 100_000);
          const after = names(held);
          expect(listed.every((name) => after.includes(name))).toBe(true);
          expect(before.filter((name) => after.includes(name)).length).toBeGreaterThanOrEqual(
            before.length / 2,
          );
        }
      }),
    );
  });
});
