import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { causationTree, type TracedEvent, treePrefix } from "../../cli/causation-tree.ts";

const event = (id: string, causationId = id, ms = 0): TracedEvent => ({
  id,
  causationId,
  correlationId: "a",
  domain: "d",
  aggregate: undefined,
  type: "T",
  origin: "hub",
  index: undefined,
  appendedUs: ms * 1000,
});
const drawn = (...events: TracedEvent[]) =>
  causationTree(events).map((line) => {
    const after = line.msAfterCause === undefined ? "" : ` ${line.msAfterCause}`;
    return `${treePrefix(line)}${line.id}${after}${line.event ? "" : " ?"}${line.circular ? " circular" : ""}`;
  });

describe("a tree of causes and effects", () => {
  it("hangs each effect below its cause, the oldest first", () => {
    const events = [
      event("d", "b", 9),
      event("c", "a", 7),
      event("a"),
      event("b", "a", 5),
      event("e", "d", 8),
    ];
    expect(drawn(...events)).toEqual(["a", "├─ b 5", "│  └─ d 4", "│     └─ e -1", "└─ c 7"]);
  });

  it("shows causes that are not there once, with all they led to", () => {
    expect(drawn(event("b", "x", 1), event("c", "x", 2), event("d", "c", 4))).toEqual([
      "x ?",
      "├─ b",
      "└─ c",
      "   └─ d 2",
    ]);
  });

  it("cuts circles, and takes two events of one id for two", () => {
    expect(drawn(event("a", "b", 1), event("b", "a", 2))).toEqual(["a circular", "└─ b 1"]);
    expect(drawn(event("a"), event("a", "a", 1), event("b", "a", 2))).toEqual(["a", "└─ b 2", "a"]);
  });

  it("is as deep as the chain, without filling the screen", () => {
    const chain = Array.from({ length: 20_000 }, (_, at) =>
      event(String(at), String(Math.max(0, at - 1)), at),
    );
    const lines = causationTree(chain);
    expect(lines.at(-1)?.depth).toBe(19_999);
    expect(treePrefix(lines.at(-1) as (typeof lines)[0])).toMatch(/^19983… {2,}└─ $/);
  });

  it("has every event once, whatever they say of each other", () => {
    const ids = fc.constantFrom("a", "b", "c", "d", "e", "f");
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, ids, fc.nat(9)), { maxLength: 12 }), (all) => {
        const events = all.map(([id, cause, ms]) => event(id, cause, ms));
        const found = causationTree(events).flatMap(({ event: one }) => one ?? []);
        expect(new Set(found)).toEqual(new Set(events));
        expect(found).toHaveLength(events.length);
      }),
    );
  });
});
