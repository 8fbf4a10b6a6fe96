import { expect, test } from "vitest";
import { listenersOf } from "../../agent/commands/listeners.ts";
import { isHeldReply, lostCommands } from "../../shared/protocol/held-commands.ts";

const waiting = [
  { domain: "orders", command: "Place", reply: "a" },
  { domain: "orders", command: "Place", reply: "b" },
  { domain: "person", command: "Rename", reply: "c" },
];
const replies = (lost: ReturnType<typeof lostCommands>) => lost?.map(({ reply }) => reply);
const answer = (program: number, held: string[], more = false) => ({ program, held, more });

test("nothing is lost before everybody has answered who may have it", () => {
  expect(lostCommands(waiting, undefined, [answer(1, [])])).toBe(undefined);
  const listening = { programs: [1, 2], silent: [] };
  expect(lostCommands(waiting, listening, [answer(2, ["a"])])).toBe(undefined);
  // One that began meanwhile, and is not in the list.
  expect(
    replies(lostCommands(waiting, listening, [answer(2, ["a"]), answer(1, []), answer(3, ["c"])])),
  ).toEqual(["b"]);
});

test("a command for which a plain client listens may be with that one", () => {
  const lost = (silent: string[]) => replies(lostCommands(waiting, { programs: [], silent }, []));
  expect(lost([])).toEqual(["a", "b", "c"]);
  expect(lost(["orders.Place"])).toEqual(["c"]);
  expect(lost(["orders.*"])).toEqual(["c"]);
  expect(lost(["*.Rename", "orders.Other"])).toEqual(["a", "b"]);
  expect(lost([">"])).toEqual([]);
});

test("a program that has more than it can say may have any", () => {
  expect(lostCommands(waiting, { programs: [1], silent: [] }, [answer(1, ["a"], true)])).toEqual([]);
});

test("who listens is read from the server's list: each connection tells, or does not", () => {
  const question = "cim.node.leaf1.commands._cim.held";
  const listed = [
    { subject: question, cid: 7 },
    { subject: "cim.node.leaf1.commands.orders.Place", cid: 7 },
    { subject: "cim.node.leaf1.commands.orders.Place", cid: 8 },
    { subject: "cim.node.leaf1.commands.person.>", cid: 7 },
    { subject: "cim.node.leaf10.commands.orders.Ship", cid: 9 },
    { subject: "_INBOX.x", cid: 9 },
  ];
  expect(listenersOf(listed, "leaf1", question)).toEqual({
    handlers: ["orders.Place", "person.>"],
    silent: ["orders.Place"],
    connections: new Set([7, 8]),
    telling: new Set([7]),
  });
});

test("an agent answers where commands are answered and where daemons are, and nowhere else", () => {
  expect(isHeldReply("_INBOX.a.b", "leaf1")).toBe(true);
  expect(isHeldReply("cim.node.leaf1.answer.leaf2._INBOX.a", "leaf1")).toBe(true);
  expect(isHeldReply("cim.node.leaf1.reply.held-a", "leaf1")).toBe(true);
  for (const no of [
    undefined,
    "",
    "cim.log.orders.Placed",
    "cim.node.leaf2.answer.leaf1._INBOX.a",
    "cim.events.a.B",
  ]) {
    expect(isHeldReply(no, "leaf1")).toBe(false);
  }
});
