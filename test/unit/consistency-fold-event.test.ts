import { describe, expect, test } from "vitest";
import { LaneHistory } from "../../shared/consistency/clock/lane-history.ts";
import {
  foldEvent,
  foldOwnEvent,
  isPoison,
  MAX_DEPTH,
  saw,
} from "../../shared/consistency/resolve/fold-event.ts";
import { lastWriteWins } from "../../shared/consistency/resolve/last-write-wins/last-write-wins.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { foldAll, foldEventOf, stored } from "../support/fold-events.ts";

const NO_LANES = new LaneHistory();

interface Parts {
  readonly body?: string | Uint8Array;
  readonly clock?: string;
  readonly origin?: string;
  readonly subject?: string;
  readonly time?: string;
}

const message = ({
  body = "{}",
  clock,
  origin = "leaf1 2 e 9",
  subject,
  time,
}: Parts = {}): StoredMessage => ({
  seq: 77,
  timeUs: 5_000_000,
  subject: subject ?? "cim.events.orders.o-1.Changed",
  headerText: [
    `Cim-Log: 3-abc.41`,
    `Cim-Origin: ${origin}`,
    "Cim-Id: id-9",
    `Cim-Time: ${time ?? "1000000999 2000000999"}`,
    ...(clock === undefined ? [] : [`Cim-Clock: ${clock}`]),
    "X-Unknown-To-Everybody: 5",
    "",
  ].join("\r\n"),
  body: Buffer.from(body as string),
});

test("an event of the log, as resolvers take it", () => {
  const lanes = new LaneHistory();
  lanes.add({ node: "leaf1", incarnation: 2, predecessor: 1, common: { seq: 4 } }, 1);
  expect(
    foldEvent(message({ clock: "900000.3 .:7 leaf2/1:55", body: '{"a":1,"new":{"field":[]}}' }), lanes),
  ).toEqual({
    id: "id-9",
    domain: "orders",
    aggregate: "o-1",
    type: "Changed",
    dot: { lane: "leaf1/2", seq: 9 },
    stamp: { ms: 900_000, order: 3, lane: "leaf1/2", seq: 9 },
    index: 41,
    ingestMs: 2_000_000,
    seen: new Map([
      ["leaf1/2", 7],
      ["leaf1/1", 4],
      ["leaf2/1", 55],
    ]),
    clockless: false,
    retired: new Set(),
    data: { a: 1, new: { field: [] } },
  });
});

describe("without a vector all that is certain is its own lane", () => {
  test.each([
    ["a clock and no vector", "900000.3", 900_000],
    ["no clock: its outbox's time", undefined, 1_000_000],
    ["a clock that nobody can read: the same", "tomorrow", 1_000_000],
    ["a clock that is ahead: when the sequencer took it", "99999999999.0", 2_000_000],
  ])("%s", (_, clock, ms) => {
    const event = foldEvent(message(clock === undefined ? {} : { clock }), NO_LANES);
    expect(event).toMatchObject({ clockless: true, seen: new Map([["leaf1/2", 8]]), stamp: { ms } });
  });
});

test("a strong commit stands behind all that the log has before it, whatever its clock, and has seen it", () => {
  const slow = foldEvent(message({ origin: "leaf1 3 c 3", clock: "5.0", body: '{"a":2}' }), NO_LANES);
  if (!slow || isPoison(slow)) throw new Error("no event");
  expect(slow).toMatchObject({
    dot: { lane: "leaf1/c", seq: 3 },
    stamp: { ms: 2_000_000 },
    clockless: false,
  });
  const resolver = lastWriteWins("field");
  const before = foldEventOf(40, { a: 1 }, { node: "leaf2", ms: 1_999_999, seen: {} });
  const { state, conflicts } = foldAll(resolver, [before, slow]);
  expect([resolver.view(state).value, conflicts]).toEqual([{ a: 2 }, []]);
});

test("a vector with nothing in it says that nothing was seen", () => {
  const event = foldEvent(message({ clock: "5.0 .:0" }), NO_LANES);
  expect(event).toMatchObject({ clockless: false });
  expect(event && !isPoison(event) && saw(event, { lane: "leaf1/2", seq: 1 })).toBe(false);
});

test("vectors that name nodes long gone, or a thousand of them, are vectors", () => {
  const lanes = Array.from({ length: 1000 }, (_, n) => ` gone${n}/7:${n + 1}`).join("");
  const event = foldEvent(message({ clock: `5.0${lanes}` }), NO_LANES);
  expect(event && !isPoison(event) && event.seen.size).toBe(1000);
});

describe("poison", () => {
  const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  test.each([
    ["not JSON", { body: "{a:1}" }, /not JSON/],
    ["not UTF-8", { body: new Uint8Array([0x22, 0xff, 0x22]) }, /not UTF-8/],
    ["half a text", { body: '{"a":' }, /not JSON/],
    ["too deep", { body: deep(MAX_DEPTH + 1) }, /deeper than 200/],
    ["so deep that recursion would end the process", { body: deep(400_000) }, /deeper than 200|not JSON/],
  ])("%s", (_, parts, reason) => {
    const event = foldEvent(message(parts), NO_LANES);
    expect(event && isPoison(event) ? event.poison : event).toMatch(reason);
  });

  test("as deep as may be is none", () => {
    const event = foldEvent(message({ body: deep(MAX_DEPTH) }), NO_LANES);
    expect(event && isPoison(event)).toBe(false);
  });
});

test("an event without a body changes nothing, and is seen", () => {
  const event = foldEvent(message({ body: "" }), NO_LANES);
  if (!event || isPoison(event)) throw new Error("no event");
  const resolver = lastWriteWins("document");
  const { state } = foldAll(resolver, [foldEventOf(1, { a: 1 }), event]);
  expect(resolver.view(state).value).toEqual({ a: 1 });
  expect(resolver.seen(state).get("leaf1/2")).toBe(9);
});

test.each([
  ["a control record", { subject: "cim.events._cim.lane" }],
  ["an event of no aggregate", { subject: "cim.events.orders.Changed" }],
  ["no origin", { origin: "somebody" }],
  ["no ingest time", { time: "5" }],
])("%s is not folded", (_, parts) => {
  expect(foldEvent(message(parts), NO_LANES)).toBeUndefined();
});

test("an event of the own outbox stands behind all of the log; its clock is not bounded yet", () => {
  const own: StoredMessage = {
    seq: 12,
    timeUs: 3_000_000,
    subject: "cim.events.orders.o-1.Changed",
    headerText: "Nats-Msg-Id: m\r\nCim-Clock: 99999999.1 .:10\r\n",
    body: Buffer.from("5"),
  };
  const event = foldOwnEvent(own, { node: "leaf1", incarnation: 2, lanes: NO_LANES });
  expect(event).toMatchObject({
    id: "m",
    dot: { lane: "leaf1/2", seq: 12 },
    stamp: { ms: 99_999_999, order: 1 },
    seen: new Map([["leaf1/2", 10]]),
    data: 5,
  });
  expect(event && !isPoison(event) && event.index).toBeGreaterThan(Number.MAX_SAFE_INTEGER / 8);
  expect(foldOwnEvent(own, { node: "leaf1", lanes: NO_LANES })).toMatchObject({
    dot: { lane: ".", seq: 12 },
    seen: new Map([[".", 10]]),
  });
});

test("a body of 1 MB is folded, stored and read again", () => {
  const data = { text: "ä".repeat(300_000), list: Array.from({ length: 60_000 }, (_, n) => n) };
  const body = Buffer.from(JSON.stringify(data));
  const event = foldEvent(message({ body }), NO_LANES);
  if (!event || isPoison(event)) throw new Error("no event");
  const resolver = lastWriteWins("field");
  const { state } = foldAll(resolver, [event]);
  expect(body.byteLength).toBeGreaterThan(900_000);
  expect(resolver.view(stored(resolver, state)).value).toEqual(data);
});
