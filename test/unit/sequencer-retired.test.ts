import { expect, it } from "vitest";
import { refuseCommit } from "../../shared/protocol/commit.ts";
import { laneRecord, marksRecord, readRecord, retiredRecord } from "../../shared/protocol/control-records.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";
import { Desk, markOf, shipped } from "../simulation/desk.ts";
import { readLog } from "../simulation/sim-coordinator.ts";

const [e1, e2] = [shipped(1), shipped(2)];
const subjects = ({ log }: Desk) => log.messages.map(({ subject }) => subject);
const count = (desk: Desk, kind: "lane" | "retired") =>
  subjects(desk).filter((subject) => subject === controlRecordSubject(kind)).length;
const newest = (desk: Desk, kind: "lane" | "retired" | "marks") =>
  desk.log.messages.findLast(({ subject }) => subject === controlRecordSubject(kind)) ?? {
    body: Buffer.of(),
  };

it("writes that a node is gone behind all that waits of it, and says so once it is stored", () => {
  const desk = new Desk().lead().known("leaf1", e1);
  desk.holds = ["write"];
  desk.block("leaf1", [e2]);
  const token = desk.retire("leaf1");
  expect(desk.retirements.get(token)).toBeUndefined();
  desk.release();
  desk.release();
  expect(desk.retirements.get(token)).toBe("retired");
  expect(subjects(desk).at(-1)).toBe(controlRecordSubject("retired"));
  expect(readRecord(retiredRecord, newest(desk, "retired"))).toEqual({ node: "leaf1" });
  expect(desk.ids()).toEqual(["id-1", "id-2"]);
});

it("knows no node that never was, and says not now where it can't be said", () => {
  const desk = new Desk().lead().known("leaf1", e1);
  expect(desk.retirements.get(desk.retire("leaf9"))).toBe("unknown");
  desk.holds = ["write"];
  const token = desk.retire("leaf1");
  desk.run(desk.machine.stop());
  expect(desk.retirements.get(token)).toBe("not-now");
  expect(desk.retirements.get(desk.retire("leaf1"))).toBe("not-now");
  expect(count(desk, "retired")).toBe(0);
});

it("takes nothing of a retired node before it has greeted, and then under a new incarnation", () => {
  const desk = new Desk().lead().known("leaf1", e1);
  desk.retire("leaf1");
  // Of a session from before: it would continue the mark.
  expect(desk.block("leaf1", [e2])).toMatchObject({
    kind: "rejected",
    retry: true,
    reason: expect.stringContaining("retired"),
  });
  expect(desk.hello("leaf1")).toMatchObject({ kind: "lane", incarnation: 2, mark: markOf(e1), top: 1 });
  const lane = { node: "leaf1", incarnation: 2, predecessor: 1, common: markOf(e1) };
  expect(readRecord(laneRecord, newest(desk, "lane"))).toEqual(lane);
  expect(desk.block("leaf1", [e2], { incarnation: 2 })).toMatchObject({ kind: "taken", accepted: 2 });
  expect(desk.hello("leaf1")).toMatchObject({ incarnation: 2, mark: markOf(e2) });
  expect(count(desk, "lane")).toBe(2);
  expect(desk.ids()).toEqual(["id-1", "id-2"]);
});

it("begins one incarnation for two greetings while the first is on its way", () => {
  const desk = new Desk().lead().known("leaf1", e1);
  desk.retire("leaf1");
  desk.holds = ["write"];
  desk.hello("leaf1");
  desk.hello("leaf1");
  desk.release();
  expect([...desk.replies.values()].slice(-2)).toMatchObject([{ incarnation: 2 }, { incarnation: 2 }]);
  expect(count(desk, "lane")).toBe(2);
});

it.each(["records", "marks"])("a reign that reads it from %s knows it", (from) => {
  const desk = new Desk().lead().known("leaf1", e1).known("leaf2");
  desk.retire("leaf1");
  if (from === "marks") {
    desk.run(desk.machine.checkpoint());
    const marks = readRecord(marksRecord, newest(desk, "marks"));
    expect(marks?.lanes.map(({ node, retired }) => [node, retired])).toEqual([
      ["leaf1", true],
      ["leaf2", undefined],
    ]);
  }
  expect(readLog(desk.log.messages).lanes.get("leaf1")).toMatchObject({ incarnation: 1, retired: true });
  const next = new Desk(desk.log).lead();
  expect(next.hello("leaf1")).toMatchObject({ incarnation: 2, mark: markOf(e1) });
  expect(readLog(next.log.messages).lanes.get("leaf1")?.retired).toBeUndefined();
});

it("commits nothing of a retired node before it begins anew", () => {
  const desk = new Desk().lead().known("leaf1", e1);
  desk.retire("leaf1");
  const commit = () => desk.answers.get(desk.commit("leaf1", { "Nats-Msg-Id": "c1" }));
  const { error } = refuseCommit("unavailable", "");
  expect(commit()).toMatchObject({ error: { code: error.code, err_code: error.err_code } });
  expect(desk.ids()).toEqual(["id-1"]);
  desk.hello("leaf1");
  expect(commit()).not.toHaveProperty("error");
  expect(desk.ids()).toEqual(["id-1", "c1"]);
});
