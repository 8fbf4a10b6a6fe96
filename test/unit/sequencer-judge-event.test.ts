import { describe, expect, it } from "vitest";
import { judgeEvent } from "../../coordinator/sequencer/judge-event.ts";
import {
  contractsFrom,
  type DeclaredContract,
} from "../../shared/consistency/contract/declared-contracts.ts";
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

describe("what a domain's contract says of an event", () => {
  const usual = { mode: "eventual", conflictResolution: "last-write-wins" } as const;
  const judge = (contract: DeclaredContract, data: string, way?: "commit") => {
    const contracts = contractsFrom(usual, { person: contract }, () => "");
    const event = shipped(1, { body: Buffer.from(data) });
    return judgeEvent(event, { ...rules, contracts: () => contracts }, way);
  };
  const crdt = { resolver: "crdt", fields: { count: "counter" } } as const;

  it("refuses what an outbox took of a strong domain, and takes what is committed", () => {
    expect(judge({ mode: "strong" }, "{}")).toBe("wrong-contract");
    expect(judge({ mode: "strong" }, "{}", "commit")).toBeUndefined();
    expect(judge({ mode: "eventual" }, "{}")).toBeUndefined();
  });

  it("refuses data that does not fit its fields' types, on either way", () => {
    expect(judge(crdt, '{"count": 2, "name": "Ada"}')).toBeUndefined();
    expect(judge(crdt, "")).toBeUndefined();
    expect(judge(crdt, "null")).toBeUndefined();
    for (const wrong of ['{"count": "two"}', "[]", "7", "{", "\u0000"]) {
      expect(judge(crdt, wrong)).toBe("wrong-contract");
      expect(judge({ ...crdt, mode: "strong" }, wrong, "commit")).toBe("wrong-contract");
    }
  });

  it("takes any body where no field has a type, or a module takes their place", () => {
    for (const contract of [{}, { resolver: "vector-clock" }, { ...crdt, module: "/m.js" }] as const) {
      expect(judge(contract, "{")).toBeUndefined();
    }
  });

  it("is another thing once the contract is", () => {
    let mode: "eventual" | "strong" = "eventual";
    const changing = { ...rules, contracts: () => contractsFrom(usual, { person: { mode } }, () => "") };
    expect(judgeEvent(shipped(1), changing)).toBeUndefined();
    mode = "strong";
    expect(judgeEvent(shipped(1), changing)).toBe("wrong-contract");
  });
});
