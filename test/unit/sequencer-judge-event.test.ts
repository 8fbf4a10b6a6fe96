import { describe, expect, it } from "vitest";
import { judgeEvent } from "../../coordinator/sequencer/judge-event.ts";
import { shipped } from "../simulation/desk.ts";

const rules = { maxMessageBytes: 10_000 };

describe("what the log takes", () => {
  it("takes an event as an agent ships it", () => {
    expect(judgeEvent(shipped(1, { headerText: "X-Correlation-ID: a\r\n" }), rules)).toBeUndefined();
    expect(judgeEvent(shipped(1, { subject: "cim.events.person.Created" }), rules)).toBeUndefined();
  });

  it.each([
    "cim.events.person",
    "cim.events.person..Created",
    "cim.events.person.*.Created",
    "cim.events.person.>",
    "cim.events.person.p 1.Created",
    "cim.events.person.p1.",
    "cim.events._cim.marks",
    "cim.log.person.p1.Created",
    `cim.events.person.${"a".repeat(2100)}.Created`,
  ])("refuses the subject %.60s: the hub's server would, for ever", (subject) => {
    expect(judgeEvent(shipped(1, { subject }), rules)).toBe("bad-subject");
  });

  it.each(["Nats-Batch-Commit: 1\r\n", "nats-msg-id: a\r\n", "Cim-Log: 9-x.9\r\n", "\r\nA: b\r\n", "A: b"])(
    "refuses the headers %j: a stream acts on them, or the log's own would not be the only ones",
    (headerText) => {
      expect(judgeEvent(shipped(1, { headerText }), rules)).toBe("bad-headers");
    },
  );

  it.each(["", "a\r\nCim-Log: 9-x.9", "a".repeat(300)])("refuses the id %.20j", (id) => {
    expect(judgeEvent(shipped(1, { id }), rules)).toBe("bad-headers");
  });

  it("measures bytes, not characters", () => {
    expect(judgeEvent(shipped(1, { body: Buffer.alloc(7900) }), rules)).toBeUndefined();
    expect(judgeEvent(shipped(1, { body: Buffer.alloc(8000) }), rules)).toBe("too-large");
    const header = (text: string) => `X: ${text}\r\n`;
    expect(judgeEvent(shipped(1, { headerText: header("é".repeat(3900)) }), rules)).toBeUndefined();
    expect(judgeEvent(shipped(1, { headerText: header("é".repeat(4000)) }), rules)).toBe("too-large");
  });
});
