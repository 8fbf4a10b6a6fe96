import { describe, expect, it } from "vitest";
import { shipped } from "../simulation/desk.ts";
import { Outbox, reign, taken } from "../simulation/scripted-uplink.ts";

describe("an outbox that is not the one the log knows", () => {
  it("was restored from before the mark: goes on as a new incarnation, though the copy has the event at the mark", () => {
    const outbox = new Outbox(5);
    outbox.inCopy = [1, 2, 3, 4, 5, 6, 7, 8].map((seq) => shipped(seq));
    outbox.greet({ mark: outbox.mark(8) });
    outbox.answerKnown(() => true);
    expect(outbox.raised).toEqual(["outbox-rolled-back"]);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", predecessor: 1, common: outbox.mark(5) });
    outbox.answer({ kind: "lane", incarnation: 2, mark: outbox.mark(5), top: 8 });
    outbox.append();
    expect(outbox.blocks).toMatchObject([{ incarnation: 2, previous: outbox.mark(5), events: [{ seq: 6 }] }]);
  });

  it("was restored and written since: parts where it differs", () => {
    const outbox = new Outbox(9, 6);
    outbox.greet({ mark: outbox.mark(8) });
    outbox.answerKnown(({ print }) => [1, 2, 3, 4, 5].some((seq) => outbox.mark(seq).print === print));
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: outbox.mark(5) });
    outbox.answer({ kind: "lane", incarnation: 2, mark: outbox.mark(5), top: 8 });
    expect(outbox.shipped()).toEqual([[6, 7, 8, 9]]);
  });

  it("was recreated: has nothing in common", () => {
    const outbox = new Outbox(2, 1);
    outbox.greet({ mark: outbox.mark(8) });
    outbox.answerKnown(() => false);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: { seq: 0 } });
    outbox.answer({ kind: "lane", incarnation: 2, mark: outbox.mark(0), top: 8 });
    expect(outbox.shipped()).toEqual([[1, 2]]);
  });

  it("was put back after the log had gone on without it: ships only what the log has of no incarnation", () => {
    const outbox = new Outbox(9);
    // The lane is another outbox's by now, which parted at 3; the log has this one's up to 7.
    outbox.greet({ incarnation: 2, mark: { seq: 5, print: "of-the-other" }, top: 7 });
    outbox.answerKnown(({ seq }) => seq <= 7);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", predecessor: 2, common: outbox.mark(7) });
    outbox.answer({ kind: "lane", incarnation: 3, mark: outbox.mark(7), top: 7 });
    expect(outbox.shipped()).toEqual([[8, 9]]);
  });

  it("was put back before the other one shipped anything: the mark is its own, but not its last in the log", () => {
    const outbox = new Outbox(9);
    outbox.greet({ incarnation: 2, mark: outbox.mark(3), top: 7 });
    outbox.answerKnown(({ seq }) => seq <= 7);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: outbox.mark(7) });
  });

  it("is the one that parted, greeting again: asks for no further incarnation", () => {
    const outbox = new Outbox(9, 4);
    outbox.greet({ incarnation: 2, mark: outbox.mark(3), top: 7 });
    outbox.answerKnown(({ seq }) => seq <= 3);
    expect(outbox.shipped()).toEqual([[4, 5, 6, 7, 8, 9]]);
    expect(outbox.asked.map(({ op }) => op)).toEqual(["hello", "prints"]);
  });

  it("believes no comparison by another reign than the one that told the lane", () => {
    const outbox = new Outbox(9, 6);
    outbox.greet({ mark: outbox.mark(8) });
    outbox.answerKnown(() => false, reign(2));
    expect(outbox.asked.at(-1)?.op).toBe("hello");
  });

  it("finds where it parts among thousands, in a few questions", () => {
    const outbox = new Outbox(5000, 3334);
    outbox.greet({ mark: outbox.mark(5000) });
    while (outbox.asked.at(-1)?.op === "prints") outbox.answerKnown(({ seq }) => seq < 3334);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: outbox.mark(3333) });
    expect(outbox.asked.length).toBeLessThan(6);
  });

  it("was put back where another one had gone on, all that it shared with it trimmed: ships nothing twice", () => {
    const outbox = new Outbox(5);
    outbox.trimBefore(3);
    outbox.inCopy = [];
    // Behind the mark nothing is missing, but the log has 3 to 5 of an earlier incarnation.
    outbox.greet({ incarnation: 2, mark: { seq: 2, print: "of-the-other" }, top: 5 });
    outbox.answerKnown(() => true);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: outbox.mark(5) });
  });

  it("is empty and so is the copy, which is just being filled: asks for no new lane", () => {
    const outbox = new Outbox(9);
    outbox.trimBefore(9);
    outbox.delete(9);
    const before = outbox.inCopy;
    outbox.inCopy = [];
    outbox.greet({ mark: outbox.mark(5), top: 9 });
    expect(outbox.machine.phase).toBe("stopped");
    outbox.inCopy = before;
    outbox.begin();
    outbox.answer({ kind: "lane", mark: outbox.mark(5), top: 9 });
    outbox.answerKnown(({ seq }) => seq <= 8);
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", common: outbox.mark(8) });
  });

  it("only lost the event at the mark: goes on in its lane", () => {
    const outbox = new Outbox(9);
    outbox.delete(7);
    outbox.greet({ mark: outbox.mark(7) });
    outbox.answerKnown(() => true);
    expect(outbox.shipped()).toEqual([[8, 9]]);
    expect(outbox.raised).toEqual([]);
  });
});

describe("a log that was restored from before what the outbox still holds", () => {
  const trimmed = () => {
    const outbox = new Outbox(9);
    outbox.trimBefore(6);
    return outbox;
  };

  it("gets from the copy what was trimmed, and then the rest", () => {
    const outbox = trimmed();
    outbox.greet({ mark: outbox.mark(3) });
    expect(outbox.shipped().flat()).toEqual([4, 5, 6, 7, 8, 9]);
    expect(outbox.blocks.every(({ acceptedHole }) => !acceptedHole)).toBe(true);
    expect(outbox.raised).toEqual(["log-went-back"]);
  });

  it("is refilled only when all of it was taken", () => {
    const outbox = trimmed();
    outbox.greet({ mark: outbox.mark(3) });
    expect(outbox.machine.refilled).toBe(false);
    outbox.blocks.forEach(({ events }, i) => {
      outbox.reply(i, taken(events.at(-1)?.seq ?? 0));
    });
    expect(outbox.machine.refilled).toBe(true);
  });

  it("stops at a hole that nobody can fill, until an operator accepts that very one", () => {
    const outbox = trimmed();
    outbox.inCopy = [];
    outbox.copyIsWhole = false;
    outbox.greet({ mark: outbox.mark(3) });
    expect(outbox.machine.phase).toBe("stopped");
    expect(outbox.raised.at(-1)).toBe("log-hole");
    outbox.run(outbox.machine.acceptHole(2, 6));
    expect(outbox.machine.phase).toBe("stopped");
    outbox.run(outbox.machine.acceptHole(3, 6));
    outbox.answer({ kind: "lane", mark: outbox.mark(3) });
    outbox.reply(0, taken(9));
    expect(outbox.shipped()).toEqual([[6, 7, 8, 9]]);
  });

  it("says in the block that the hole was accepted, when a part could be filled", () => {
    const outbox = trimmed();
    outbox.inCopy = outbox.inCopy.filter(({ seq }) => seq <= 4);
    outbox.copyIsWhole = false;
    outbox.greet({ mark: outbox.mark(3) });
    expect(outbox.machine.phase).toBe("stopped");
    outbox.run(outbox.machine.acceptHole(4, 6));
    outbox.answer({ kind: "lane", mark: outbox.mark(3) });
    const last = outbox.blocks.slice(1);
    expect(last.map(({ events, acceptedHole }) => [events.map(({ seq }) => seq), acceptedHole])).toEqual([
      [[4], false],
      [[6, 7, 8, 9], true],
    ]);
  });

  it("says so in a block of its own when events from before the hole wait to be shipped with it", () => {
    const outbox = trimmed();
    outbox.inCopy = outbox.inCopy.filter(({ seq }) => seq <= 4);
    outbox.copyIsWhole = false;
    outbox.greet({ mark: outbox.mark(3) });
    outbox.run(outbox.machine.acceptHole(4, 6));
    outbox.slowToSetAside = true;
    const refused = [{ ...outbox.mark(3), reason: "too-large" }];
    outbox.answer({ kind: "lane", mark: outbox.mark(3), refused });
    outbox.blocks.length = 0;
    const last = outbox.outputs.findLast((output) => output.do === "set-aside");
    outbox.run(outbox.machine.asideDone(last?.do === "set-aside" ? last.token : 0));
    expect(outbox.shipped()).toEqual([[4], [6, 7, 8, 9]]);
    expect(outbox.blocks.map(({ acceptedHole }) => acceptedHole)).toEqual([false, true]);
  });

  it("goes on where nothing is missing, though all that was shipped is deleted and no copy is kept", () => {
    const outbox = new Outbox(9);
    outbox.trimBefore(8);
    outbox.inCopy = [];
    outbox.copyIsWhole = false;
    outbox.greet({ mark: outbox.mark(7) });
    expect(outbox.shipped()).toEqual([[8, 9]]);
  });
});
