import { describe, expect, it } from "vitest";
import { EventLines } from "../../cli/event-line.ts";
import { fitWidth, textWidth } from "../../cli/text-width.ts";
import { cloudEvent, type ReadEvent, readEvent } from "../../shared/protocol/cloud-event.ts";

const appendedMs = new Date(2026, 10, 24, 10, 15, 30, 42).getTime();
const laterMs = appendedMs + 60_000;

function stored(change: { subject?: string; headers?: string; body?: string | Uint8Array } = {}): ReadEvent {
  const body = change.body ?? '{"name":"Ada"}';
  const event = readEvent(
    {
      seq: 41,
      timeUs: 7,
      subject: change.subject ?? "cim.events.person.ada.PersonCreated",
      headerText:
        change.headers ??
        [
          "Nats-Expected-Last-Sequence: 40",
          "Cim-Log: 2-abc.17",
          "Cim-Origin: leaf1 3 e 9",
          "Cim-Id: 01a20c4e-9d53-7355-9e78-c463afc174e6",
          `Cim-Time: ${appendedMs}000 ${appendedMs}900`,
          "Cim-Clock: 5.0",
          "X-Correlation-ID: root",
          "traceparent: 00-1-2-01",
          "type: forged",
          "",
        ].join("\r\n"),
      body: typeof body === "string" ? Buffer.from(body) : body,
    },
    "hub",
  );
  if (!event) throw new Error("no event");
  return event;
}

describe("an event's line", () => {
  it("has aligned columns that grow with what passes", () => {
    const lines = new EventLines(undefined);
    const other = stored({ subject: "cim.events.orders.order-number-77.OrderPlaced", headers: "", body: "" });
    expect([lines.line(stored(), laterMs), lines.line(other, 7), lines.line(stored(), laterMs)]).toEqual([
      '10:15:30.042  leaf1   person  ada        PersonCreated  afc174e6  root      {"name":"Ada"}',
      expect.stringMatching(/^\S+ {2}hub {5}orders {2}order-number-77 {2}OrderPlaced {4}[0-9a-f]{8} {2}-$/),
      '10:15:30.042  leaf1   person  ada              PersonCreated  afc174e6  root      {"name":"Ada"}',
    ]);
  });

  it("shows the day when it was another, and fits into the terminal", () => {
    const lines = new EventLines(100);
    const day = 86_400_000;
    expect(lines.line(stored(), laterMs + 2 * day)).toMatch(/^2026-11-24 10:15:30\.042 {2}leaf1/);
    const cut = (body: string | Uint8Array) => new EventLines(100).line(stored({ body }), laterMs);
    expect(cut(JSON.stringify("x".repeat(500)))).toMatch(/x…$/);
    expect(cut(JSON.stringify("x".repeat(500)))).toHaveLength(100);
    // Of eight megabytes only the beginning is looked at; two columns for each of these.
    const wide = cut("漢".repeat(2_700_000));
    expect(textWidth(wide)).toBe(99);
    expect(wide).toMatch(/漢…$/);
    const family = cut("👩‍👩‍👧".repeat(500));
    expect(family).not.toMatch(/[\uD800-\uDBFF]…|\u200D…/);
    expect(textWidth(family)).toBeLessThanOrEqual(100);
    lines.columns = 20;
    expect(lines.line(stored(), laterMs)).toMatch(/root$/);
  });

  it("keeps what came from elsewhere from steering the terminal", () => {
    const nasty = stored({ body: "a\x1b[2J\r\nb\u202Ec\u2028", subject: "cim.events.person.a\x1bb.Type" });
    const line = new EventLines(undefined).line(nasty, laterMs);
    expect(line).not.toMatch(/[\p{Cc}\u202E\u2028]/u);
    expect(new EventLines(undefined).line(stored({ body: new Uint8Array([0xff, 0xfe]) }), laterMs)).toMatch(
      /2 bytes$/,
    );
  });
});

describe("a text in columns", () => {
  it("counts wide characters twice and joined ones once", () => {
    expect(["ada", "漢字", "é", "e\u0301", "👩‍👩‍👧", "한", ""].map(textWidth)).toEqual([3, 4, 1, 1, 2, 2, 0]);
    expect(fitWidth("ada", 3)).toBe("ada");
    expect(fitWidth("adam", 3)).toBe("ad…");
    expect(fitWidth("漢字字", 4)).toBe("漢…");
    expect(fitWidth("adam", 1)).toBe("");
  });
});

describe("an event as a CloudEvent", () => {
  it("has the attributes of the standard, and the rest as extensions", () => {
    expect(cloudEvent(stored())).toEqual({
      specversion: "1.0",
      id: "01a20c4e-9d53-7355-9e78-c463afc174e6",
      source: "/cim/leaf1",
      type: "PersonCreated",
      subject: "cim.events.person.ada.PersonCreated",
      time: new Date(appendedMs).toISOString(),
      datacontenttype: "application/json",
      data: { name: "Ada" },
      cimdomain: "person",
      cimaggregate: "ada",
      cimlog: "2-abc.17",
      cimorigin: "leaf1 3 e 9",
      cimclock: "5.0",
      correlationid: "root",
      causationid: "01a20c4e-9d53-7355-9e78-c463afc174e6",
      traceparent: "00-1-2-01",
    });
  });

  it("carries bytes that are no JSON, and nothing where there is nothing", () => {
    expect(cloudEvent(stored({ body: "not json" }))).toMatchObject({ data_base64: "bm90IGpzb24=" });
    expect(Object.keys(cloudEvent(stored({ body: "" })))).not.toContain("data");
  });

  it("is not made of control records", () => {
    const record = {
      seq: 1,
      timeUs: 1,
      subject: "cim.events._cim.reign",
      headerText: "",
      body: Buffer.alloc(0),
    };
    expect(readEvent(record, "hub")).toBeUndefined();
  });
});
