import { describe, expect, it } from "vitest";
import { kinds, Outbox, reign, taken } from "../simulation/scripted-uplink.ts";

describe("shipping", () => {
  it("goes on behind the lane's mark, when that is its own event", () => {
    const outbox = new Outbox(5);
    outbox.greet({ mark: outbox.mark(3) });
    expect(outbox.shipped()).toEqual([[4, 5]]);
    expect(outbox.blocks[0]).toMatchObject({ incarnation: 1, previous: outbox.mark(3), acceptedHole: false });
  });

  it("asks a node that is not known for an incarnation first", () => {
    const outbox = new Outbox(2);
    outbox.greet({ incarnation: 0, mark: outbox.mark(0) });
    expect(outbox.asked.at(-1)).toMatchObject({ op: "incarnate", predecessor: 0, common: { seq: 0 } });
    outbox.answer({ kind: "lane", mark: outbox.mark(0) });
    expect(outbox.shipped()).toEqual([[1, 2]]);
  });

  it("keeps up to four small blocks on their way, the next one of all that waits", () => {
    const outbox = new Outbox(0);
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    for (let seq = 1; seq <= 7; seq++) outbox.append();
    expect(outbox.shipped()).toEqual([[1], [2], [3], [4]]);
    outbox.reply(0, taken(1));
    expect(outbox.shipped().at(-1)).toEqual([5, 6, 7]);
    expect(outbox.blocks.at(-1)?.previous).toEqual(outbox.mark(4));
  });

  it("keeps no more than two large ones on their way", () => {
    const outbox = new Outbox(0, undefined, 30); // an event is larger
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    for (let seq = 1; seq <= 4; seq++) outbox.append();
    expect(outbox.shipped()).toEqual([[1], [2]]);
    outbox.reply(0, taken(1));
    expect(outbox.shipped()).toEqual([[1], [2], [3]]);
  });

  it("has no more events on their way than two blocks may hold, however small they are", () => {
    const outbox = new Outbox(900, undefined, 1_000_000);
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    for (let n = 0; n < 3; n++) outbox.append();
    expect(outbox.shipped().map(({ length }) => length)).toEqual([900, 1]);
  });

  it("ships what follows a deleted event, and says so", () => {
    const outbox = new Outbox(5);
    outbox.delete(3);
    outbox.greet({ mark: outbox.mark(1) });
    expect(outbox.shipped()).toEqual([[2, 4, 5]]);
    expect(outbox.raised).toEqual(["outbox-gap"]);
  });

  it("greets anew when the log expects something else, and takes no answer for another", () => {
    const outbox = new Outbox(2);
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    outbox.reply(0, {
      kind: "expected",
      reign: reign(1),
      incarnation: 1,
      mark: outbox.mark(1),
      confirmed: 1,
    });
    expect(outbox.machine.phase).toBe("greeting");
    outbox.reply(0, taken(2));
    expect(outbox.machine.accepted).toBe(0);
  });

  it("takes an answer that comes twice once", () => {
    const outbox = new Outbox(2);
    outbox.greet({ mark: outbox.mark(2), confirmed: 2 });
    const asked = outbox.asked.length;
    outbox.answerAgain({ kind: "lane", mark: outbox.mark(0), top: 0 });
    expect(outbox.asked).toHaveLength(asked);
    expect(outbox.machine.accepted).toBe(2);
  });

  it("asks again later when nobody answers", () => {
    const outbox = new Outbox(2);
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    outbox.reply(0, undefined);
    expect(outbox.machine.phase).toBe("idle");
    expect(kinds(outbox.outputs)).toContain("wait");
    expect(outbox.raised).toContain("hub-unreachable");
  });
});

describe("only the highest reign is believed", () => {
  it("does not trim on the word of a leader that others have outrun", () => {
    const outbox = new Outbox(4);
    outbox.greet({ mark: outbox.mark(2), confirmed: 2, reign: reign(5) });
    outbox.reply(0, { ...taken(4), reign: reign(4) });
    expect(outbox.mayTrim).toBe(0);
    expect(outbox.machine.accepted).toBe(2);
    expect(outbox.machine.seen).toEqual(reign(5));
  });

  it("does not believe another reign of the same epoch either, and tells the next one what it saw", () => {
    const outbox = new Outbox(4);
    outbox.greet({ mark: outbox.mark(2), reign: reign(5) });
    outbox.reply(0, { ...taken(4), reign: { epoch: 5, id: "restored" } });
    expect(outbox.machine.phase).toBe("idle");
    outbox.begin();
    expect(outbox.asked.at(-1)).toMatchObject({ op: "hello", seen: reign(5) });
  });
});

describe("what may be trimmed", () => {
  it("is what is confirmed, and nothing from when the outbox may be another one until the log was asked again", () => {
    const outbox = new Outbox(3);
    outbox.greet({ mark: outbox.mark(3), confirmed: 3 });
    expect(outbox.mayTrim).toBe(3);
    outbox.run(outbox.machine.lost());
    expect(outbox.mayTrim).toBe(0);
    expect(outbox.machine.confirmed).toBe(3);
  });

  it("is nothing that a lane confirms which is not this outbox's", () => {
    const outbox = new Outbox(3);
    outbox.greet({ mark: { seq: 3, print: "another" }, top: 3, confirmed: 3 });
    expect(outbox.machine.phase).toBe("searching");
    expect(outbox.mayTrim).toBe(0);
  });

  it("stays below a block that is not answered: its answer may name refused events", () => {
    const outbox = new Outbox(0);
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    outbox.append();
    outbox.append();
    outbox.reply(1, taken(2));
    expect(outbox.mayTrim).toBe(0);
    outbox.reply(0, taken(1));
    expect(outbox.mayTrim).toBe(2);
  });

  it("grows no further, as nothing is shipped, while refused events are being set aside", () => {
    const outbox = new Outbox(1);
    outbox.slowToSetAside = true;
    outbox.greet({ mark: outbox.mark(0), top: 0 });
    outbox.reply(0, { ...taken(1), refused: [{ ...outbox.mark(1), reason: "too-large" }] });
    outbox.append();
    expect(outbox.shipped()).toEqual([[1]]);
    const last = outbox.outputs.findLast((output) => output.do === "set-aside");
    outbox.run(outbox.machine.asideDone(last?.do === "set-aside" ? last.token : 0));
    expect(outbox.shipped()).toEqual([[1], [2]]);
  });

  it("comes after the refused events are set aside, those of a greeting too", () => {
    const outbox = new Outbox(3);
    const refused = [{ ...outbox.mark(2), reason: "too-large" }];
    outbox.greet({ mark: outbox.mark(3), confirmed: 3, refused });
    const order = kinds(outbox.outputs).filter((kind) => kind === "set-aside" || kind === "confirmed");
    expect(order).toEqual(["set-aside", "confirmed"]);
    outbox.append();
    outbox.outputs.length = 0;
    outbox.reply(0, { ...taken(4), refused: [{ ...outbox.mark(4), reason: "too-large" }] });
    expect(kinds(outbox.outputs).slice(0, 1)).toEqual(["set-aside"]);
    expect(outbox.mayTrim).toBe(4);
  });
});
