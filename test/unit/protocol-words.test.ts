import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  carriedHeaders,
  carriedLogHeaders,
  headerEntries,
  headerLine,
  headerValue,
} from "../../shared/protocol/headers.ts";
import { isNodeName } from "../../shared/protocol/names.ts";
import { formatOrigin, NOTHING_YET, parseOrigin, printOf, sameMark } from "../../shared/protocol/origin.ts";
import {
  formatLogPosition,
  formatReign,
  parseLogPosition,
  parseReign,
  sameReign,
} from "../../shared/protocol/reign.ts";
import {
  domainOf,
  eventSubject,
  fenceSubject,
  isDomain,
  logPublishSubject,
  parseEventSubject,
  storedLogSubject,
} from "../../shared/protocol/subjects.ts";

describe("headers", () => {
  const text =
    "Nats-Msg-Id: a\r\nX-Correlation-ID: c\r\nnats-batch-commit: 1\r\nCim-Log: 1-x.1\r\nCim-Clock: 5.0\r\n";

  it("carry on a publisher's own, nothing that a stream acts on and nothing that only the log may set", () => {
    expect(carriedHeaders(text)).toBe("X-Correlation-ID: c\r\nCim-Clock: 5.0\r\n");
    for (const name of ["Cim-Log", "Cim-Origin", "Cim-Id", "Cim-Time"])
      expect(carriedHeaders(`${name}: x\r\n`)).toBe("");
    expect(carriedHeaders("NATS-Rollup: all\r\nNats-Expected-Last-Sequence: 3\r\n")).toBe("");
    expect(carriedHeaders("")).toBe("");
  });

  it("are the same when carried on once more", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("N", "a", "t", "s", "-", ":", " ", "\r\n", "C") }),
        (any) => {
          const once = carriedHeaders(any);
          expect(carriedHeaders(once)).toBe(once);
          expect(headerEntries(once).every(([name]) => !/^nats-/i.test(name))).toBe(true);
        },
      ),
    );
  });

  it("keep the log's own in a copy, and lose only what is NATS's", () => {
    expect(carriedLogHeaders("Cim-Log: 1-x.1\r\nX: y\r\n")).toBe("Cim-Log: 1-x.1\r\nX: y\r\n");
    expect(carriedLogHeaders("Cim-Log: 1-x.1\r\nNats-Batch-Id: b\r\n")).toBe("Cim-Log: 1-x.1\r\n");
    expect(carriedLogHeaders("nats-batch-id: b\r\nCim-Log: 1-x.1\r\n")).toBe("Cim-Log: 1-x.1\r\n");
  });

  it("are found by their whole name only, the first one of it", () => {
    expect(headerValue(text, "Cim-Log")).toBe("1-x.1");
    expect(headerValue(text, "Log")).toBeUndefined();
    expect(headerValue(text, "Cim")).toBeUndefined();
    expect(headerValue("A: 1\r\nA: 2\r\n", "A")).toBe("1");
    expect(headerValue("X: A: 1\r\n", "A")).toBeUndefined();
    expect(headerLine("A", 1)).toBe("A: 1\r\n");
  });
});

describe("reigns and positions", () => {
  const reigns = fc.record({
    epoch: fc.integer({ min: 0, max: 1e12 }),
    id: fc.stringMatching(/^[0-9a-z]{1,16}$/),
  });

  it("come out as they went in", () => {
    fc.assert(
      fc.property(reigns, fc.integer({ min: 1, max: 2 ** 50 }), (reign, index) => {
        expect(parseReign(formatReign(reign))).toEqual(reign);
        expect(parseLogPosition(formatLogPosition({ reign, index }))).toEqual({ reign, index });
      }),
    );
  });

  it.each(["", "1", "1-", "-a", "1-A", "1-a-b", "x-a", "1-aaaaaaaaaaaaaaaaa", "9999999999999999-a"])(
    "are not read from %j",
    (text) => {
      expect(parseReign(text)).toBeUndefined();
      expect(parseLogPosition(`${text}.1`)).toBeUndefined();
    },
  );

  it.each([undefined, "", "1-a", "1-a.", "1-a.0", "1-a.-1", "1-a.x", "1-a.1.5"])(
    "no position is %j",
    (text) => {
      expect(parseLogPosition(text)).toBeUndefined();
    },
  );

  it("are of one reign by epoch and id", () => {
    expect(sameReign({ epoch: 2, id: "a" }, { epoch: 2, id: "a" })).toBe(true);
    expect(sameReign({ epoch: 2, id: "a" }, { epoch: 2, id: "z" })).toBe(false);
  });
});

describe("origins", () => {
  it("come out as they went in", () => {
    const origin = { node: "leaf-1", incarnation: 3, lane: "e", seq: 42 } as const;
    expect(formatOrigin(origin)).toBe("leaf-1 3 e 42");
    expect(parseOrigin("leaf-1 3 e 42")).toEqual(origin);
    expect(parseOrigin("leaf-1 3 c 42")).toEqual({ ...origin, lane: "c" });
  });

  it.each([
    undefined,
    "",
    "leaf1",
    "leaf1 1 e",
    "leaf1 0 e 1",
    "leaf1 1 x 1",
    "leaf1 1 e 0",
    "leaf1 1 e 1 2",
    " 1 e 1",
    "leaf1 a e 1",
  ])("are not read from %j", (text) => {
    expect(parseOrigin(text)).toBeUndefined();
  });

  it("have a print that any difference changes", () => {
    const event = { seq: 1, timeUs: 5, id: "a", subject: "cim.events.a.B" };
    const others = [{ seq: 2 }, { timeUs: 6 }, { id: "b" }, { subject: "cim.events.a.C" }];
    const prints = new Set([event, ...others.map((other) => ({ ...event, ...other }))].map(printOf));
    expect(prints.size).toBe(5);
    expect(printOf({ ...event })).toBe(printOf(event));
    expect(printOf(event)).toHaveLength(16);
    expect(sameMark(NOTHING_YET, { seq: 0, print: "" })).toBe(true);
    expect(sameMark({ seq: 1, print: "a" }, { seq: 1, print: "b" })).toBe(false);
  });
});

describe("subjects", () => {
  it.each([
    ["cim.events.person.p1.Created", { domain: "person", aggregate: "p1", type: "Created" }],
    ["cim.events.person.Created", { domain: "person", type: "Created" }],
    ["cim.events.person.eu.p1.Created", { domain: "person", aggregate: "eu.p1", type: "Created" }],
  ])("%s", (subject, address) => {
    expect(parseEventSubject(subject)).toEqual(address);
    expect(eventSubject(address)).toBe(subject);
    expect(domainOf(subject)).toBe("person");
  });

  it.each([
    "cim.events.person",
    "cim.events._cim.reign",
    "cim.log.person.Created",
    "person.Created",
    "cim.events..",
  ])("%s is no event's", (subject) => {
    expect(parseEventSubject(subject)).toBeUndefined();
  });

  it("are published to the log under another name than they are stored", () => {
    expect(logPublishSubject("cim.events.a.b.C")).toBe("cim.log.a.b.C");
    expect(storedLogSubject("cim.log.a.b.C")).toBe("cim.events.a.b.C");
    expect(fenceSubject("1-a")).toBe("cim.events._cim.fence.1-a");
  });

  it("have domains that are one word and not the log's own", () => {
    expect(["person", "a-b", "Ünïcode"].every(isDomain)).toBe(true);
    expect(["", "_cim", "a.b", "a b", "*", ">", "a\u0007"].some(isDomain)).toBe(false);
    expect(["leaf1", "a", "0-a"].every(isNodeName)).toBe(true);
    expect(["", "-a", "A", "a_b", "a.b", "a".repeat(64)].some(isNodeName)).toBe(false);
  });
});
