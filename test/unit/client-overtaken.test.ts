import { expect, test } from "vitest";
import { type EventToAppend, encodeEvent } from "../../shared/client/event-to-append.ts";
import { overtaken, type Unit } from "../../shared/client/write-events.ts";

const unit = (...events: Omit<EventToAppend, "domain">[]): Unit =>
  events.map((event) => encodeEvent({ domain: "d", ...event }, { eventBytes: 1_000_000, node: "n" }));
const v1 = { node: "n", seq: 1 };

test("of those that expect something of one aggregate the first one is sent, whatever their types", () => {
  const first = unit({ aggregate: "a", type: "A", expect: v1 });
  const second = unit({ aggregate: "a", type: "B", expect: v1 });
  const plain = unit({ aggregate: "a", type: "C" });
  const other = unit({ aggregate: "ab", type: "A", expect: v1 });
  const ofDomain = unit({ type: "A", expect: v1 });
  expect([...overtaken([first, second, plain, other, ofDomain])]).toEqual([second]);
});

test("also behind one that expects nothing, and anywhere in a batch; what is held back holds back nobody", () => {
  const plain = unit({ aggregate: "a", type: "A" });
  const batch = unit({ aggregate: "b", type: "B" }, { aggregate: "a", type: "B", expect: v1 });
  const after = unit({ aggregate: "b", type: "C", expect: v1 });
  expect([...overtaken([plain, batch, after])]).toEqual([batch]);
  expect(overtaken([plain, plain]).size).toBe(0);
});
