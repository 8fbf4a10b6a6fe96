import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, NOWHERE } from "../../shared/client/reader/checkpoint.ts";
import { continuationOf } from "../../shared/client/reader/log-place.ts";
import { Merge } from "../../shared/client/reader/merge.ts";
import { outboxStart } from "../../shared/client/reader/own-outbox.ts";
import type { ReignHistory } from "../../shared/follow/reign-history.ts";

const NODE = "leaf1";
const printAt = (seq: number) => `print-${seq}`;

/**
 * A node as the reader sees it: an outbox that is appended to, comes into the log and is trimmed; a reader that reads
 * from either as it likes, and begins again from any checkpoint after the last event it handled.
 */
class World {
  written = 0;
  inLog: { node: string; seq: number }[] = [];
  taken = 0;
  first = 1;
  others = 0;
  merge = new Merge(NODE);
  logAt = 0;
  outboxAt: number | undefined;
  /** Length of the log when the outbox was looked at, and where that began. */
  toCatchUp: { log: number; first: number } | undefined;
  handled: string[] = [];
  checkpoint = { text: encodeCheckpoint(NOWHERE), logAt: 0 };

  take(count: number): void {
    for (; count > 0 && this.taken < this.written; count--)
      this.inLog.push({ node: NODE, seq: ++this.taken });
  }

  trim(to: number): void {
    this.first = Math.max(this.first, Math.min(to, this.taken));
  }

  restart(): void {
    this.merge = new Merge(NODE, decodeCheckpoint(this.checkpoint.text).lanes);
    this.logAt = this.checkpoint.logAt;
    this.outboxAt = undefined;
    this.toCatchUp = undefined;
  }

  readOutbox(): void {
    if (this.outboxAt === undefined && !this.#open()) return;
    const seq = this.outboxAt as number;
    // As the shell finds out: a trim in what is to be read begins everything anew.
    if (seq < this.first) {
      this.restart();
      return;
    }
    if (seq > this.written) return;
    this.outboxAt = seq + 1;
    if (this.merge.fromOutbox(seq, () => printAt(seq)) === "deliver") this.#handle(NODE, seq);
  }

  readLog(): void {
    const event = this.inLog[this.logAt];
    if (!event) return;
    this.logAt += 1;
    const origin = { ...event, incarnation: 1, lane: "e" as const };
    const print = () => printAt(event.seq);
    let decision = this.merge.fromLog(origin, print);
    if (decision === "ask") {
      const there = event.seq >= this.first && event.seq <= this.written;
      decision = this.merge.answered(origin, print, there ? true : undefined);
    }
    if (decision === "deliver") this.#handle(event.node, event.seq);
  }

  #open(): boolean {
    const { own } = this.merge;
    const caughtUp = this.toCatchUp && this.logAt >= this.toCatchUp.log ? this.toCatchUp.first : undefined;
    const print = own && own.seq >= this.first && own.seq <= this.written ? printAt(own.seq) : undefined;
    const start = outboxStart(own, { first: this.first, last: this.written, print, caughtUpFrom: caughtUp });
    if (start.kind === "after-log") {
      if (caughtUp !== undefined || !this.toCatchUp)
        this.toCatchUp = { log: this.inLog.length, first: start.first };
      return false;
    }
    if (start.kind !== "open") throw new Error(start.kind);
    this.outboxAt = start.startSeq;
    this.merge.outboxOpen = true;
    return true;
  }

  #handle(node: string, seq: number): void {
    this.handled.push(`${node} ${seq}`);
    // The reader's own transaction: the event and its checkpoint together.
    this.checkpoint = { text: encodeCheckpoint({ ...NOWHERE, lanes: this.merge.lanes }), logAt: this.logAt };
  }
}

type Act = "write" | "take" | "trim" | "other" | "outbox" | "log" | "restart";
const act: fc.Arbitrary<Act> = fc.constantFrom(
  ...(["write", "write", "take", "trim", "other", "outbox", "outbox", "log", "log", "restart"] as const),
);

it("gives each event once and each origin's in order, whatever comes when", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
      const world = new World();
      for (const one of acts) {
        if (one === "write") world.written += 1;
        if (one === "take") world.take(2);
        // What came back only: as the agent trims.
        if (one === "trim") world.trim(world.first + 2);
        if (one === "other") world.inLog.push({ node: "leaf2", seq: ++world.others });
        if (one === "outbox") world.readOutbox();
        if (one === "log") world.readLog();
        if (one === "restart") world.restart();
      }
      for (let n = 0; n < 400; n++) {
        world.readLog();
        world.readOutbox();
      }
      const of = (node: string) => world.handled.filter((words) => words.startsWith(`${node} `));
      expect(of(NODE)).toEqual(Array.from({ length: world.written }, (_, n) => `${NODE} ${n + 1}`));
      expect(of("leaf2")).toEqual(Array.from({ length: world.others }, (_, n) => `leaf2 ${n + 1}`));
    }),
    { numRuns: 2_000 },
  );
});

it("on another node passes over what was read ahead where it was before, then forgets that", () => {
  const before = new Merge(NODE);
  for (const seq of [1, 2, 3]) before.fromOutbox(seq, () => printAt(seq));
  const moved = new Merge(
    "leaf2",
    decodeCheckpoint(encodeCheckpoint({ ...NOWHERE, lanes: before.lanes })).lanes,
  );
  const fromLog = (seq: number, incarnation = 7) =>
    moved.fromLog({ node: NODE, incarnation, lane: "e", seq }, () => printAt(seq));
  expect([1, 2, 3, 4].map((seq) => fromLog(seq))).toEqual(["skip", "skip", "skip", "deliver"]);
  expect(moved.lanes).toEqual([]);
});

it("an outbox that was made anew is told from the one that was read ahead, and nothing of it is passed over", () => {
  const merge = new Merge(NODE);
  for (const seq of [1, 2, 3]) merge.fromOutbox(seq, () => printAt(seq));
  const facts = { first: 1, last: 5, caughtUpFrom: undefined };
  expect(outboxStart(merge.own, { ...facts, print: printAt(3) })).toEqual({ kind: "open", startSeq: 4 });
  expect(outboxStart(merge.own, { ...facts, print: "another" })).toEqual({ kind: "replaced" });
  expect(outboxStart(merge.own, { ...facts, last: 2, print: undefined })).toEqual({ kind: "replaced" });
  merge.forgetReadAhead();
  expect(merge.own).toBeUndefined();
  expect(merge.fromLog({ node: NODE, incarnation: 2, lane: "e", seq: 1 }, () => "another")).toBe("deliver");
});

const reign = (epoch: number) => ({ epoch, id: `r${epoch}` });
const history = (reigns: [number, number][], last: number): ReignHistory => ({
  reigns: reigns.map(([epoch, index]) => ({ reign: reign(epoch), index, seq: index })),
  last: { reign: reign((reigns.at(-1) as [number, number])[0]), index: last },
});

it("goes on behind its position, waits for a node that is behind, and says when a log is another one", () => {
  const at = { reign: reign(1), index: 8 };
  const mine = history([[1, 1]], 8);
  const on = (here: ReignHistory) => continuationOf(mine, at, here);
  expect(on(history([[1, 1]], 9))).toEqual({ kind: "behind", index: 8 });
  expect(on(history([[1, 1]], 6))).toMatchObject({ kind: "ahead" });
  expect(on({ reigns: [], last: undefined })).toMatchObject({ kind: "ahead" });
  const restored = on(
    history(
      [
        [1, 1],
        [2, 6],
      ],
      20,
    ),
  );
  expect(restored).toMatchObject({
    kind: "behind",
    index: 5,
    again: expect.stringMatching(/may come again/),
  });
  expect(on(history([[1, 12]], 20))).toMatchObject({ kind: "gone" });
});

it("a checkpoint that is none, or damaged, is named", () => {
  expect(() => decodeCheckpoint("17")).toThrow(/no checkpoint of this build/);
  expect(() => decodeCheckpoint("cim1.AAAA")).toThrow(/damaged/);
});
