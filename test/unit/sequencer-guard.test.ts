import { describe, expect, it } from "vitest";
import { Desk, markOf, shipped } from "../simulation/desk.ts";
import { readLog } from "../simulation/sim-coordinator.ts";
import { isContinuous } from "../simulation/sim-downlink.ts";

const e1 = shipped(1);
const e2 = shipped(2);
const e3 = shipped(3);

describe("a reign and its fence", () => {
  it("begins with its record, opens its fence and closes the last one", () => {
    const first = new Desk().lead();
    const second = new Desk(first.log).lead();
    const subjects = second.log.messages.map(({ subject }) => subject.replace("cim.events._cim.", ""));
    const [a, b] = [first.machine.reign, second.machine.reign];
    expect(a?.epoch).toBe(1);
    expect(b?.epoch).toBe(2);
    expect(subjects).toEqual([`fence.1-${a?.id}`, "reign", "reign", `fence.1-${a?.id}`, `fence.2-${b?.id}`]);
    expect(isContinuous(second.log.messages)).toBe(true);
  });

  it("stores nothing of a leader that was paused over a takeover", () => {
    const paused = new Desk().lead().known("leaf1", e1);
    const taken = new Desk(paused.log).lead();
    taken.block("leaf1", [e2]);
    paused.stays = true;
    expect(paused.block("leaf1", [e2])).toMatchObject({ kind: "rejected", retry: true });
    expect(paused.rereads).toHaveLength(1);
    expect(taken.ids()).toEqual(["id-1", "id-2"]);
  });

  it("stores nothing of a leader that was paused over a restore, even where all sequences are what it expects", () => {
    const paused = new Desk();
    const backup = paused.log.snapshot();
    paused.lead().known("leaf1", e1);
    paused.log.restore(backup);
    // Another one leads the restored log and has come to the very sequences of the one that is paused.
    const other = new Desk(paused.log).lead().known("leaf2", shipped(1, { salt: "-of-leaf2" }));
    expect(other.log.lastSeq).toBe(paused.machine.state?.lastSeq);
    paused.stays = true;
    expect(paused.block("leaf1", [e2])).toMatchObject({ kind: "rejected", retry: true });
    expect(other.ids()).toEqual(["id-1-of-leaf2"]);
  });

  it("begins no reign over a log that was restored after it was read, even where it is as long", () => {
    const first = new Desk().lead();
    const slow = new Desk(first.log);
    slow.holds = ["write"];
    slow.lead();
    first.log.restore({ messages: [], lastSeq: 0 });
    new Desk(first.log).lead();
    slow.stays = true;
    slow.release();
    expect(slow.machine.phase).toBe("idle");
    expect(isContinuous(first.log.messages)).toBe(true);
  });

  it("stores nothing where the log was restored to within its own reign", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    const backup = desk.log.snapshot();
    desk.block("leaf1", [e2]);
    desk.log.restore(backup);
    desk.stays = true;
    expect(desk.block("leaf1", [e3])).toMatchObject({ kind: "rejected", retry: true });
    expect(desk.ids()).toEqual(["id-1"]);
  });
});

describe("a younger reign", () => {
  it("begins when it is asked for, and the lane goes on", () => {
    const desk = new Desk().lead().known("leaf1", e1);
    const first = desk.machine.reign;
    desk.run(desk.machine.renew());
    expect(desk.rereads).toEqual(["a younger reign is wanted"]);
    expect(desk.machine.reign?.epoch).toBe((first?.epoch ?? 0) + 1);
    expect(desk.hello("leaf1")).toMatchObject({ kind: "lane", mark: { seq: 1 } });
    desk.block("leaf1", [e2]);
    expect(desk.ids()).toEqual(["id-1", "id-2"]);
  });

  it("does not begin under a write", () => {
    const desk = new Desk().lead().known("leaf1");
    desk.holds = ["write"];
    desk.block("leaf1", [e1]);
    expect(desk.machine.renew()).toEqual([]);
  });
});

describe("an unknown outcome", () => {
  it.each([
    ["nothing", 0, ["id-1", "id-2"]],
    ["all", 2, ["id-1", "id-2"]],
    ["a prefix", 1, ["id-1", "id-2"]],
  ])("answers nothing and reads the log again when %s was stored", (_, stored, ids) => {
    const desk = new Desk().lead().known("leaf1");
    desk.holds = ["write"];
    expect(desk.block("leaf1", [e1, e2])).toBeUndefined();
    const [write] = desk.held;
    if (write?.do === "write") desk.log.write(write.messages, write.expect, 1, stored);
    desk.holds = [];
    desk.release({ kind: "unknown", reason: "timeout" });
    expect(desk.lastReply()).toMatchObject({ kind: "rejected", retry: true });
    expect(desk.rereads).toEqual(["unknown: timeout"]);
    // The origin asks, is told what is there, and ships the rest.
    const lane = desk.hello("leaf1");
    expect(lane).toMatchObject({ kind: "lane", mark: { seq: stored } });
    const rest = [e1, e2].slice(stored);
    if (rest.length > 0) desk.block("leaf1", rest);
    expect(desk.ids()).toEqual(ids);
  });

  it("takes the late answer to a write that was given up for nothing", () => {
    const desk = new Desk().lead().known("leaf1");
    desk.holds = ["write"];
    desk.block("leaf1", [e1]);
    // A node has seen a higher epoch: the log is read again while the write is under way.
    desk.stays = true;
    desk.hello("leaf2", { epoch: 7, id: "x" });
    desk.lead(8);
    const [late, reignWrite] = desk.held;
    expect(late?.do === "write" && reignWrite?.do === "write" && late.token !== reignWrite.token).toBe(true);
    desk.release({ kind: "stored", lastSeq: desk.log.lastSeq + 3 });
    expect(desk.machine.phase).toBe("taking");
    desk.release();
    expect(desk.machine.reign?.epoch).toBe(8);
    expect(desk.ids()).toEqual([]);
  });
});

describe("what only the log may say", () => {
  it("answers a duplicate only after a fenced read: a leader paused over a restore confirms nothing", () => {
    const desk = new Desk().lead().known("leaf1");
    const backup = desk.log.snapshot();
    desk.block("leaf1", [e1]);
    desk.log.restore(backup);
    desk.stays = true;
    expect(desk.block("leaf1", [e1])).toMatchObject({ kind: "rejected" });
    expect(desk.rereads).toEqual(["the log is not what it was"]);
  });

  it("greets only after a fenced read, too", () => {
    const paused = new Desk().lead().known("leaf1", e1);
    new Desk(paused.log).lead();
    paused.stays = true;
    expect(paused.hello("leaf1")).toMatchObject({ kind: "rejected" });
  });

  it("does not tell a mark that is under way", () => {
    const desk = new Desk().lead().known("leaf1");
    desk.holds = ["fence", "write"];
    expect(desk.hello("leaf1")).toBeUndefined();
    desk.block("leaf1", [e1]);
    const [fence, write] = desk.held;
    expect([fence?.do, write?.do]).toEqual(["fence", "write"]);
    const answers = desk.replies.size;
    desk.release();
    expect(desk.replies.size).toBe(answers);
    desk.holds = [];
    desk.release();
    expect(desk.lastReply()).toMatchObject({ kind: "lane", mark: markOf(e1) });
  });

  it("takes over with a higher epoch when a node has seen one, and when it has seen another of the same", () => {
    const desk = new Desk().lead();
    expect(desk.hello("leaf1", { epoch: 9, id: "lost" })).toMatchObject({ kind: "rejected", retry: true });
    expect(desk.machine.reign?.epoch).toBe(10);
    desk.hello("leaf1", { epoch: 10, id: "other" });
    expect(desk.machine.reign?.epoch).toBe(11);
    expect(desk.hello("leaf1", desk.machine.reign)).toMatchObject({ kind: "lane" });
    expect(desk.machine.reign?.epoch).toBe(11);
  });

  it("leaves a state that is the fold of the log", () => {
    const desk = new Desk(undefined, { marksEvery: 4 }).lead().known("leaf1", e1, e2).known("leaf2", e1);
    desk.block("leaf1", [e3]);
    const { sinceMarks: _, ...state } = readLog(desk.log.messages, true);
    expect(desk.machine.state).toMatchObject(state);
    expect(readLog(desk.log.messages)).toMatchObject(state);
  });
});
