import { expect, test } from "vitest";
import { dataFor, removalFor } from "../../cli/conflict-data.ts";
import { USUAL_CONTRACT } from "../../shared/consistency/contract/contract.ts";
import { checkData } from "../../shared/consistency/resolve/check-data.ts";

const crdt = {
  ...USUAL_CONTRACT,
  resolver: "crdt",
  fields: { tags: "set", seats: "map of set", name: "register" },
} as const;

test("a place is written by a patch that names it, all of it by the value itself", () => {
  expect(dataFor(["address", "city"], "Rome", USUAL_CONTRACT)).toEqual({ address: { city: "Rome" } });
  expect(dataFor([], { a: 1 }, USUAL_CONTRACT)).toEqual({ a: 1 });
  expect(removalFor(["name"], null, USUAL_CONTRACT)).toEqual({ name: null });
});

test("typed fields are written as their type takes it", () => {
  const written = [
    dataFor(["tags"], "red", crdt),
    removalFor(["tags"], "red", crdt),
    dataFor(["seats", "12A"], ["ada"], crdt),
    dataFor(["name"], "Ada", crdt),
    removalFor(["seats", "12A"], undefined, crdt),
  ];
  expect(written).toEqual([
    { tags: { add: ["red"] } },
    { tags: { remove: ["red"] } },
    { seats: { "12A": { add: ["ada"] } } },
    { name: "Ada" },
    { seats: { "12A": null } },
  ]);
  for (const data of written) expect(checkData(crdt, data)).toBeUndefined();
});
