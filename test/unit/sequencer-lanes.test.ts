import { describe, expect, it } from "vitest";
import { type MarksRecord, marksRecord } from "../../shared/protocol/control-records.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";
import { Desk, markOf, shipped } from "../simulation/desk.ts";
import { readLog } from "../simulation/sim-coordinator.ts";

const [e1, e2, e3, e4] = [1, 2, 3, 4].map((seq) => shipped(seq)) as [
  ReturnType<typeof shipped>,
  ReturnType<typeof shipped>,
  ReturnType<typeof shipped>,
  ReturnType<typeof shipped>,
];

describe("exactly once, by origin lane", () => {
  it("takes only what continues the mark: a block that came too early is answered with what would", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    expect(desk.block("leaf1", [e3])).toMatchObject({ kind: "expected", incarnation: 1, mark: markOf(e1) });
    desk.block("leaf1", [e2]);
    desk.block("leaf1", [e3]);
    expect(desk.ids()).toEqual(["id-1", "id-2", "id-3"]);
  });

  it("does not log a block twice that came twice", () => {
    const desk = new Desk().lead().known("leaf1");
    expect(desk.block("leaf1", [e1, e2])).toMatchObject({ kind: "taken", accepted: 2, confirmed: 2 });
    expect(desk.block("leaf1", [e1, e2])).toMatchObject({ kind: "expected", mark: markOf(e2), confirmed: 2 });
    expect(desk.ids()).toEqual(["id-1", "id-2"]);
  });

  it("does not take an event for the mark that only has its number", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    const previous = markOf(shipped(1, { salt: "-of-another-outbox" }));
    expect(desk.block("leaf1", [e2], { previous })).toMatchObject({ kind: "expected" });
    expect(desk.ids()).toEqual(["id-1"]);
  });

  it("takes nothing of an incarnation that ended, or of a node that it does not know", () => {
    const desk = new Desk().lead().known("leaf1", e1, e2);
    desk.incarnate("leaf1", 1, markOf(e1));
    // Late, of the outbox before it was rolled back: it would continue the mark.
    expect(desk.block("leaf1", [e2])).toMatchObject({ kind: "expected", incarnation: 2, mark: markOf(e1) });
    expect(desk.block("leaf2", [e1])).toMatchObject({ kind: "expected", incarnation: 0 });
    expect(desk.ids()).toEqual(["id-1", "id-2"]);
  });

  it("takes what follows a gap: a deleted event leaves one", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    expect(desk.block("leaf1", [e4], { previous: markOf(e1) })).toMatchObject({ kind: "taken", accepted: 4 });
  });

  it("writes down that an operator accepted a hole", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    desk.block("leaf1", [e4], { previous: markOf(e1), acceptedHole: true });
    const hole = desk.log.messages.find(({ subject }) => subject.endsWith("_cim.hole"));
    expect(JSON.parse(String(hole?.body))).toEqual({ node: "leaf1", incarnation: 1, after: 1, before: 4 });
    expect(desk.ids()).toEqual(["id-1", "id-4"]);
  });

  it("answers a block when all of it is written, over several batches", () => {
    const desk = new Desk(undefined, { bounds: { events: 2, bytes: 100_000 } }).lead().known("leaf1");
    desk.holds = ["write"];
    desk.block("leaf1", [e1, e2, e3]);
    desk.release();
    expect(desk.ids()).toEqual(["id-1", "id-2"]);
    expect(desk.lastReply()?.kind).toBe("lane");
    desk.release();
    expect(desk.lastReply()).toMatchObject({ kind: "taken", accepted: 3 });
  });

  it("sends a block back when too much waits", () => {
    const desk = new Desk(undefined, { maxWaitingBytes: 100 }).lead().known("leaf1").known("leaf2");
    desk.holds = ["write"];
    desk.block("leaf1", [e1]);
    desk.block("leaf1", [e2]);
    expect(desk.block("leaf2", [e1])).toMatchObject({ kind: "rejected", retry: true, reason: /too much/ });
  });
});

describe("incarnations", () => {
  it("gives one once, however often it is asked for", () => {
    const desk = new Desk().lead();
    const token = desk.incarnate("leaf1");
    expect(token).toMatchObject({ kind: "lane", incarnation: 1, mark: { seq: 0 } });
    desk.block("leaf1", [e1]);
    expect(desk.incarnate("leaf1", 0)).toMatchObject({ kind: "lane", incarnation: 1, mark: markOf(e1) });
    expect(desk.log.messages.filter(({ subject }) => subject.endsWith("_cim.lane"))).toHaveLength(1);
  });

  it("gives none on the word of another reign: its log may have been restored since", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    const before = desk.machine.reign;
    desk.lead();
    expect(desk.incarnate("leaf1", 1, markOf(e3), before)).toMatchObject({
      incarnation: 1,
      mark: markOf(e1),
    });
    expect(desk.incarnate("leaf1", 1, markOf(e3))).toMatchObject({ incarnation: 2, mark: markOf(e3) });
  });

  it("says which of the asked events it has, of whichever incarnation, refused ones too", () => {
    const big = shipped(2, { body: Buffer.alloc(9000) });
    const desk = new Desk().lead().known("leaf1", e1, big, e3);
    desk.incarnate("leaf1", 1, markOf(e1));
    const other = shipped(3, { salt: "-other" });
    const marks = [e1, big, e3, other, e4].map(markOf);
    desk.run(desk.machine.prints("leaf1", 1, { op: "prints", marks }));
    expect(desk.replies.get(1)).toMatchObject({ kind: "prints", known: [true, true, true, false, false] });
  });

  it("tells how far the log ever went with a node, over all its incarnations and marks records", () => {
    const desk = new Desk().lead().known("leaf1", e1, e2, e3);
    desk.incarnate("leaf1", 1, markOf(e1));
    desk.run(desk.machine.checkpoint());
    expect(new Desk(desk.log).lead().hello("leaf1")).toMatchObject({ mark: markOf(e1), top: 3 });
  });
});

describe("refusals", () => {
  const big = shipped(2, { body: Buffer.alloc(9000) });

  it("move the mark, are in the log and are told with the answer", () => {
    const desk = new Desk().lead().known("leaf1");
    const reply = desk.block("leaf1", [e1, big, e3]);
    const refusal = { ...markOf(big), reason: "too-large" };
    expect(reply).toMatchObject({ kind: "taken", accepted: 3, refused: [refusal] });
    expect(desk.ids()).toEqual(["id-1", "id-3"]);
    expect(desk.machine.state?.refusedTotals).toEqual(new Map([["too-large", 1]]));
  });

  it("move it when they come last, also for who reads the log", () => {
    const desk = new Desk().lead().known("leaf1", e1, big);
    expect(readLog(desk.log.messages).lanes.get("leaf1")?.mark).toEqual(markOf(big));
    desk.block("leaf1", [e3], { previous: markOf(big) });
    expect(desk.ids()).toEqual(["id-1", "id-3"]);
  });

  it("are remembered as far as an origin may still have to set them aside, not for ever", () => {
    const desk = new Desk(undefined, { bounds: { events: 900, bytes: 1e9 } }).lead().known("leaf1");
    const bad = (seq: number) => shipped(seq, { subject: "cim.events.person.*.Created" });
    let previous = markOf(bad(1));
    desk.block("leaf1", [bad(1)]);
    for (let from = 2; from < 3000; from += 900) {
      const events = Array.from({ length: 900 }, (_, i) => bad(from + i));
      desk.block("leaf1", events, { previous });
      previous = markOf(bad(from + 899));
    }
    const refused = desk.machine.state?.lanes.get("leaf1")?.refused ?? [];
    expect([refused.length, refused.at(-1)?.seq]).toEqual([1800, 3601]);
    expect(readLog(desk.log.messages).lanes.get("leaf1")?.refused).toEqual(refused);
  });

  it("are carried through marks until their origin has trimmed them, over a new incarnation too", () => {
    const desk = new Desk().lead().known("leaf1", e1, big);
    desk.incarnate("leaf1", 1, markOf(e1));
    desk.run(desk.machine.checkpoint());
    const next = new Desk(desk.log).lead();
    const refused = [{ ...markOf(big), reason: "too-large" }];
    expect(next.hello("leaf1", null, { first: 2, last: 3 })).toMatchObject({ kind: "lane", refused });
    expect(next.hello("leaf1", null, { first: 3, last: 3 })).toMatchObject({ kind: "lane", refused: [] });
  });
});

describe("marks", () => {
  const marksIn = (desk: Desk): MarksRecord[] =>
    desk.log.messages
      .filter(({ subject }) => subject === controlRecordSubject("marks"))
      .map(({ body }) => marksRecord.parse(JSON.parse(String(body))));

  it("do not name a node that the log does not know", () => {
    const desk = new Desk().lead();
    expect(desk.hello("leaf1")).toMatchObject({ kind: "lane", incarnation: 0 });
    desk.run(desk.machine.checkpoint());
    expect(marksIn(desk).at(-1)?.lanes).toEqual([]);
    expect(readLog(desk.log.messages).lanes.size).toBe(0);
  });

  it("come with the batch when they are due, and when asked for", () => {
    const desk = new Desk(undefined, { marksEvery: 3 }).lead().known("leaf1", e1);
    expect(marksIn(desk)).toHaveLength(1);
    desk.block("leaf1", [e2]);
    desk.run(desk.machine.checkpoint());
    desk.run(desk.machine.checkpoint());
    expect(marksIn(desk)).toHaveLength(2);
    expect(marksIn(desk).at(-1)?.totals).toEqual([["person", "leaf1", 2]]);
  });
});
