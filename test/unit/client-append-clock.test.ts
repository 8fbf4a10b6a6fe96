import { expect, test } from "vitest";
import { AppendClock } from "../../shared/client/append-clock.ts";
import { EventRejected } from "../../shared/client/append-errors.ts";
import { encodeEvent } from "../../shared/client/event-to-append.ts";
import { formatVersion, parseVersion } from "../../shared/client/state/state-version.ts";
import { parseClock } from "../../shared/consistency/clock/clock-header.ts";
import { NO_CONTRACTS } from "../../shared/consistency/contract/contract.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";

const clockOf = (line: string) => parseClock(headerValue(line, HEADER.clock));
const version = (node: string, seen: [string, number][], ms = 5_000) =>
  formatVersion({ node, clock: { time: { ms, counter: 7 }, seen: new Map(seen) } });

test("each event gets a later time than the one before, also when the wall clock goes back", () => {
  let nowMs = 1_000;
  const clock = new AppendClock("leaf1", () => nowMs);
  expect(clockOf(clock.stamp())).toEqual({ time: { ms: 1_000, counter: 0 } });
  nowMs = 400;
  expect(clockOf(clock.stamp())).toEqual({ time: { ms: 1_000, counter: 1 } });
  nowMs = 1_001;
  expect(clockOf(clock.stamp())).toEqual({ time: { ms: 1_001, counter: 0 } });
});

test("a version that was seen is written down, and what comes next is later", () => {
  const clock = new AppendClock("leaf1", () => 1_000);
  const seen: [string, number][] = [
    [".", 12],
    ["leaf2/3", 4],
  ];
  const stamped = clockOf(clock.stamp(version("leaf1", seen)));
  expect(stamped).toEqual({ time: { ms: 5_000, counter: 8 }, seen: new Map(seen) });
  expect(clockOf(clock.stamp())).toEqual({ time: { ms: 5_000, counter: 9 } });
});

test("a version of another node is taken only where all of it can be known here", () => {
  const clock = new AppendClock("leaf1", () => 1_000);
  expect(clockOf(clock.stamp(version("leaf2", [["leaf2/1", 4]])))?.seen).toEqual(new Map([["leaf2/1", 4]]));
  expect(() => clock.stamp(version("leaf2", [[".", 4]]))).toThrow(
    "seen: the version is of leaf2 and has events that are only there yet, and this is leaf1; read the state here",
  );
});

test("what is no version is refused in one line", () => {
  const clock = new AppendClock("leaf1", () => 1_000);
  for (const given of ["", "leaf1", "leaf1 x", " 5.0", "leaf1 5.0 leaf2:1"]) {
    expect(parseVersion(given)).toBeUndefined();
    expect(() => clock.stamp(given)).toThrow(
      new EventRejected("seen", `seen: ${JSON.stringify(given)} is not a version; give what state gave`),
    );
  }
  expect(parseVersion(undefined)).toBeUndefined();
});

test("the clock is a header of the event, and callers can't write their own", () => {
  const limits = { eventBytes: 1_000_000, node: "leaf1", contracts: NO_CONTRACTS };
  const stamp = (seen: string | undefined) => new AppendClock("leaf1", () => 9).stamp(seen);
  const { message } = encodeEvent({ domain: "d", type: "T" }, limits, stamp);
  expect(headerValue(message.headerText, "Cim-Clock")).toBe("9.0");
  const own = { domain: "d", type: "T", headers: { "Cim-Clock": "1.0" } };
  expect(() => encodeEvent(own, limits, stamp)).toThrow("headers: Cim-Clock is set by cim");
});
