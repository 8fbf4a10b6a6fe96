import { describe, expect, it } from "vitest";
import { describeLinkCondition, LinkConditionError, parseLinkCondition } from "../../lab/link-condition.ts";

describe("link conditions", () => {
  it.each([
    ["up", { state: "up" }],
    ["down", { state: "down" }],
    ["BLACKHOLE", { state: "blackhole" }],
    ["delay=200ms", { state: "up", delayMs: 200 }],
    ["delay=1.5s", { state: "up", delayMs: 1500 }],
    ["stall=10%", { state: "up", stallFraction: 0.1 }],
    ["rate=64kbit", { state: "up", bitsPerS: 64_000 }],
    ["delay=50ms, rate=2mbit", { state: "up", delayMs: 50, bitsPerS: 2_000_000 }],
  ])("reads %s", (text, condition) => {
    expect(parseLinkCondition(text)).toEqual(condition);
    expect(parseLinkCondition(describeLinkCondition(parseLinkCondition(text)))).toEqual(condition);
  });

  it.each([
    "",
    "upp",
    "delay",
    "delay=200",
    "delay=-1ms",
    "stall=100%",
    "stall=0.1",
    "rate=64",
    "rate=0kbit",
    "down,delay=1ms",
  ])("refuses %j in one line that says what to write", (text) => {
    expect(() => parseLinkCondition(text)).toThrow(LinkConditionError);
    expect(() => parseLinkCondition(text)).toThrow(
      /^[^\n]*write one of up, down, blackhole, delay=200ms[^\n]*$/,
    );
  });
});
