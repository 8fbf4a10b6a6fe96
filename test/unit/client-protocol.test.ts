import { expect, test } from "vitest";
import { protocolFault } from "../../shared/client/outbox-limits.ts";

test.each([
  [3, "ClientTooOld"],
  [2, undefined],
  [1, undefined],
  [0, "NodeTooOld"],
])("a client of version 2 that works from 1 on, on a node of version %i: %s", (theirs, name) => {
  expect(protocolFault("leaf1", theirs, { newest: 2, oldest: 1 })?.name).toBe(name);
});

test("a client of version 2 that needs 2 names the node, both versions and what to do", () => {
  expect(protocolFault("leaf1", 1, { newest: 2, oldest: 2 })?.message).toBe(
    "leaf1 speaks cim's protocol 1, this client needs 2 or newer: upgrade cim-agent (cim-coordinator on a hub) there",
  );
});
