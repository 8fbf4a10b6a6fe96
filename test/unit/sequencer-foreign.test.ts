import { describe, expect, it } from "vitest";
import { LogFold, LogUnreadable } from "../../coordinator/sequencer/fold-log.ts";
import { emptyLogState } from "../../coordinator/sequencer/log-state.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { Desk, shipped } from "../simulation/desk.ts";
import { newestMarks, readLog } from "../simulation/sim-coordinator.ts";
import type { SimStream } from "../simulation/sim-stream.ts";

const EVENT = "cim.events.person.p1.Created";
const withEvents = () => new Desk().lead().known("leaf1", shipped(1), shipped(2));

/** The next place in the log, as whoever reads it can work out. */
function nextPlace(log: SimStream, ahead = 1): string {
  const [, reign, index] = /Cim-Log: (\S+)\.(\d+)/.exec(log.messages.at(-1)?.headerText ?? "") ?? [];
  return `Cim-Log: ${reign}.${Number(index) + ahead}\r\n`;
}

/** Sequences of what is stepped over. */
function foreignOf(messages: readonly StoredMessage[]): number[] {
  const fold = new LogFold(emptyLogState(), 1);
  return messages.filter((message) => !fold.take(message)).map(({ seq }) => seq);
}

describe("what no sequencer wrote", () => {
  it.each<[string, string, (log: SimStream) => string, string]>([
    ["an answer of the server", EVENT, () => "", '{"stream":"CIM_EVENTS","seq":7}'],
    [
      "one on a control record's subject",
      "cim.events._cim.marks",
      () => "",
      '{"stream":"CIM_EVENTS","seq":7}',
    ],
    ["an event with a place further on", EVENT, (log) => nextPlace(log, 5), "{}"],
    ["an event with a place of before", EVENT, (log) => nextPlace(log, 0), "{}"],
    ["an event of a reign that never began", EVENT, () => "Cim-Log: 7-evil.9\r\n", "{}"],
    ["the next place, without an origin", EVENT, (log) => nextPlace(log), "{}"],
    ["the next place, no record", "cim.events._cim.marks", (log) => nextPlace(log), "not JSON"],
    ["a reign without its record", "cim.events._cim.reign", () => "Cim-Log: 7-evil.6\r\n", "{}"],
  ])("is stepped over, and the log goes on behind it: %s", (_, subject, header, body) => {
    const desk = withEvents();
    const { seq } = desk.log.append(subject, header(desk.log), Buffer.from(body), 1);
    expect(foreignOf(desk.log.messages)).toEqual([seq]);
    desk.block("leaf1", [shipped(3)]);
    // Sent back, as the log's end was not where the sequencer had left it; now it is.
    desk.block("leaf1", [shipped(3)]);
    expect(desk.ids("leaf1")).toEqual(["id-1", "id-2", "id-3"]);
    expect(foreignOf(desk.log.messages)).toEqual([seq]);
    expect(readLog(desk.log.messages, true).lanes.get("leaf1")?.mark.seq).toBe(3);
  });

  it("is met while the log is quiet, without a write that fails", () => {
    const desk = withEvents();
    const { seq } = desk.log.append(EVENT, "", Buffer.from("{}"), 1);
    desk.run(desk.machine.seen(seq - 1));
    expect(desk.rereads).toEqual([]);
    desk.run(desk.machine.seen(seq));
    expect(desk.rereads).toEqual([`the log's stream is at ${seq}`]);
    expect(foreignOf(desk.log.messages)).toEqual([seq]);
  });

  it("does not keep the next reign from beginning by standing on its fence", () => {
    const desk = withEvents();
    const fence = desk.log.messages[0]?.subject ?? "";
    expect(fence).toContain("fence");
    desk.log.append(fence, "", Buffer.from("{}"), 1);
    desk.block("leaf1", [shipped(3)]);
    expect(desk.machine.phase).toBe("leading");
    expect(desk.rereads).toHaveLength(1);
  });

  it("is no marks record from which a start reads", () => {
    const desk = withEvents();
    desk.run(desk.machine.checkpoint());
    const marks = newestMarks(desk.log.messages);
    expect(marks?.seq).toBe(desk.log.lastSeq);
    const body = marks?.body ?? Buffer.from("");
    desk.log.append("cim.events._cim.marks", "", body, 1);
    desk.log.append("cim.events._cim.marks", nextPlace({ messages: [marks] } as SimStream, 50), body, 1);
    expect(newestMarks(desk.log.messages)).toBe(marks);
  });

  it("keeps marks from being written while it is still in the log", () => {
    const desk = withEvents();
    desk.machine.keepsReading = true;
    desk.run(desk.machine.checkpoint());
    desk.block("leaf1", [shipped(3)]);
    expect(newestMarks(desk.log.messages)).toBeUndefined();
    desk.machine.keepsReading = false;
    desk.block("leaf1", [shipped(4)]);
    expect(newestMarks(desk.log.messages)?.seq).toBe(desk.log.lastSeq);
  });
});

describe("a log with a gap", () => {
  it("can't be read where something of it was deleted, and can when what is behind that is gone as well", () => {
    const desk = withEvents();
    desk.block("leaf1", [shipped(3)]);
    const [second, third] = desk.log.messages.slice(-2) as [StoredMessage, StoredMessage];
    desk.log.delete(second.seq);
    expect(() => foreignOf(desk.log.messages)).toThrow(LogUnreadable);
    desk.log.delete(third.seq);
    const state = readLog(desk.log.messages);
    expect(state.lanes.get("leaf1")?.mark.seq).toBe(1);
    const next = new Desk(desk.log);
    next.run(next.machine.lead({ ...state, lastSeq: desk.log.lastSeq }));
    next.block("leaf1", [shipped(2)]);
    expect(next.ids("leaf1")).toEqual(["id-1", "id-2"]);
    expect(foreignOf(desk.log.messages)).toEqual([]);
  });

  it("can be read where what was foreign was taken out", () => {
    const desk = withEvents();
    const { seq } = desk.log.append(EVENT, "", Buffer.from("{}"), 1);
    desk.block("leaf1", [shipped(3)]);
    desk.log.delete(seq);
    expect(foreignOf(desk.log.messages)).toEqual([]);
  });
});
