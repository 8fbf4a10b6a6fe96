import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { editDistance, nearestName } from "../../shared/config/nearest-name.ts";

const known = ["url", "monitor", "retentionFloorMs", "staticNodes", "dnsQuery", "dnsServers", "hubs", "http"];

describe("the nearest known name", () => {
  it.each([
    ["ulr", "url"],
    ["URL", "url"],
    ["htpp", "http"],
    ["retentoinFlorMs", "retentionFloorMs"],
    ["static_nodes", "staticNodes"],
    ["dnsServer", "dnsServers"],
    ["banana", null],
    ["x", null],
    ["", null],
    ["retention", null],
  ])("of %j is %j", (typed, wanted) => {
    expect(nearestName(typed, known)).toBe(wanted);
  });

  it("is found for any one slip of the pen", () => {
    const slip = fc.tuple(fc.constantFrom(...known.filter((name) => name.length > 4)), fc.nat(), fc.nat(2));
    fc.assert(
      fc.property(slip, ([name, at, kind]) => {
        const i = at % (name.length - 1);
        const swapped = name.slice(0, i) + name[i + 1] + name[i] + name.slice(i + 2);
        const typed =
          [name.slice(0, i) + name.slice(i + 1), `${name.slice(0, i)}q${name.slice(i)}`, swapped][kind] ?? "";
        expect(nearestName(typed, known)).toBe(name);
      }),
    );
  });

  it("the distance is the same from both sides and never above its limit", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.integer({ min: 1, max: 5 }), (a, b, limit) => {
        const distance = editDistance(a, b, limit);
        expect(distance).toBe(editDistance(b, a, limit));
        expect(distance).toBeLessThanOrEqual(limit);
        expect(distance === 0).toBe(a === b);
      }),
    );
  });
});
