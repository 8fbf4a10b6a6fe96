import { describe, expect, it } from "vitest";
import { DownlinkMachine, type DownlinkOutput, type LogView } from "../../agent/downlink/downlink-machine.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { Desk, shipped } from "../simulation/desk.ts";
import { historyOf, positionOf } from "../simulation/sim-downlink.ts";
import { SimStream } from "../simulation/sim-stream.ts";

/** A copy and the downlink's machine, each output carried out when the test says so. */
class Copy {
  readonly stream = new SimStream();
  readonly machine: DownlinkMachine;
  outputs: DownlinkOutput[] = [];

  constructor(everything = true) {
    const settings = { batchEvents: 10, batchBytes: 100_000, maxQueueBytes: 100_000 };
    this.machine = new DownlinkMachine({ everything: () => everything, ...settings });
  }

  run(outputs: readonly DownlinkOutput[]): void {
    this.outputs.push(...outputs);
  }

  /** The last output, which must be of that kind. */
  last<K extends DownlinkOutput["do"]>(kind: K): Extract<DownlinkOutput, { do: K }> {
    const output = this.outputs.at(-1);
    if (output?.do !== kind) throw new Error(`${output?.do}, not ${kind}`);
    return output as Extract<DownlinkOutput, { do: K }>;
  }

  survey(log: SimStream): void {
    this.run(this.machine.begin());
    this.compare(log);
  }

  compare(log: SimStream): void {
    const { token } = this.last("survey");
    const view: LogView = { ...historyOf(log), firstIndex: positionOf(log.messages[0])?.index ?? 0 };
    this.run(this.machine.surveyed(token, { copy: historyOf(this.stream), log: view }));
  }

  /** Reads the log from where it is wanted, and writes what comes. */
  follow(log: SimStream): void {
    this.survey(log);
    this.offer(log.from(this.last("read").fromSeq, 1000));
  }

  offer(messages: readonly StoredMessage[]): void {
    this.run(this.machine.offer(messages));
    while (this.outputs.at(-1)?.do === "write") this.write();
  }

  write(): void {
    const { messages } = this.last("write");
    this.outputs.pop();
    const result = this.stream.write(messages, { lastSeq: this.stream.lastSeq }, 1);
    this.run(this.machine.written(result));
  }

  ids(): string[] {
    return this.stream.messages.map(({ headerText }) => /Cim-Log: (\S+)/.exec(headerText)?.[1] ?? "none");
  }
}

const idsOf = (log: SimStream): string[] =>
  log.messages.map(({ headerText }) => /Cim-Log: (\S+)/.exec(headerText)?.[1] ?? "none");
const withEvents = (...seqs: readonly number[]) =>
  new Desk().lead().known("leaf1", ...seqs.map((seq) => shipped(seq)));

describe("following", () => {
  it("copies the log message by message, over a change of reign", () => {
    const desk = withEvents(1, 2);
    new Desk(desk.log).lead().block("leaf1", [shipped(3)]);
    const copy = new Copy();
    copy.follow(desk.log);
    expect(copy.ids()).toEqual(idsOf(desk.log));
    expect(copy.machine.position).toEqual(positionOf(desk.log.messages.at(-1)));
  });

  it("goes on from the copy's own last message, and passes over what comes again", () => {
    const desk = withEvents(1, 2);
    const copy = new Copy();
    copy.follow(desk.log);
    desk.block("leaf1", [shipped(3)]);
    copy.survey(desk.log);
    expect(copy.last("read").fromSeq).toBe(desk.log.lastSeq);
    copy.offer(desk.log.messages.slice(-2));
    expect(copy.ids()).toEqual(idsOf(desk.log));
  });

  it("matches again when a message is missing", () => {
    const desk = withEvents(1, 2, 3);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.offer(desk.log.messages.filter((_, i) => i !== 3));
    expect(copy.machine.phase).toBe("surveying");
    expect(copy.ids()).toEqual([]);
  });

  it("carries no Nats header along", () => {
    const desk = withEvents(1);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.offer(
      desk.log.messages.map((m) => ({ ...m, headerText: `${m.headerText}Nats-Batch-Commit: 1\r\n` })),
    );
    expect(copy.stream.messages.every(({ headerText }) => !/nats-/i.test(headerText))).toBe(true);
    expect(copy.ids()).toEqual(idsOf(desk.log));
  });

  it("asks what the copy has only when the write under way is answered, or it would copy that once more", () => {
    const desk = withEvents(1);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.run(copy.machine.offer(desk.log.messages));
    copy.run(copy.machine.lost());
    copy.run(copy.machine.begin());
    expect(copy.outputs.at(-1)?.do).not.toBe("survey");
    const write = copy.outputs.find((output) => output.do === "write");
    if (write?.do !== "write") throw new Error("nothing was written");
    copy.run(copy.machine.written(copy.stream.write(write.messages, { lastSeq: 0 }, 1)));
    copy.compare(desk.log);
    copy.offer(desk.log.from(copy.last("read").fromSeq, 100));
    expect(copy.ids()).toEqual(idsOf(desk.log));
  });

  it("looks again, later, when a write was not stored as expected", () => {
    const desk = withEvents(1);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.run(copy.machine.offer(desk.log.messages));
    copy.run(copy.machine.written({ kind: "unknown", reason: "timeout" }));
    expect(copy.last("wait")).toBeTruthy();
    expect(copy.machine.phase).toBe("idle");
  });
});

describe("a reign changes only with its record", () => {
  it("does not go on in another reign whose record it did not see", () => {
    const desk = withEvents(1);
    const copy = new Copy();
    copy.follow(desk.log);
    const next = new Desk(desk.log).lead();
    next.block("leaf1", [shipped(2)]);
    const end = desk.log.messages.at(-1) as StoredMessage;
    // As a reader would deliver it that was not told of a restore: the index fits, the reign is another.
    const index = (copy.machine.position?.index ?? 0) + 1;
    const fits = end.headerText.replace(/\.\d+\r\n/, `.${index}\r\n`);
    copy.offer([{ ...end, headerText: fits }]);
    expect(copy.machine.phase).toBe("surveying");
  });

  it("does not go on with a record that was written behind another reign", () => {
    const log = new SimStream();
    const first = new Desk(log).lead();
    const copy = new Copy();
    copy.follow(log);
    expect(first.machine.reign?.epoch).toBe(1);
    log.restore({ messages: [], lastSeq: 0 });
    new Desk(log).lead();
    new Desk(log).lead();
    const record = log.messages[2] as StoredMessage;
    expect(positionOf(record)?.index).toBe((copy.machine.position?.index ?? 0) + 1);
    copy.offer([record]);
    expect(copy.machine.phase).toBe("surveying");
  });
});

describe("log matching", () => {
  it("has what the log does not have discarded, from where the two part, and names it", () => {
    const desk = withEvents(1);
    const backup = desk.log.snapshot();
    desk.block("leaf1", [shipped(2)]);
    const copy = new Copy();
    copy.follow(desk.log);
    const common = positionOf(backup.messages.at(-1))?.index;
    desk.log.restore(backup);
    new Desk(desk.log).lead();
    copy.survey(desk.log);
    expect(copy.last("discard").beyond).toBe(common);
    expect(copy.outputs.at(-2)).toMatchObject({ do: "raise", code: "copy-diverged" });
    expect(copy.machine.awaits(copy.last("discard").token)).toBe(true);
    copy.stream.delete(copy.stream.lastSeq);
    copy.run(copy.machine.discarded(copy.last("discard").token, true));
    copy.compare(desk.log);
    copy.offer(desk.log.from(copy.last("read").fromSeq, 100));
    expect(copy.ids()).toEqual(idsOf(desk.log));
  });

  it("discards everything of a log that it has nothing in common with", () => {
    const copy = new Copy();
    copy.follow(withEvents(1).log);
    copy.survey(withEvents(1).log);
    expect(copy.last("discard").beyond).toBe(0);
  });

  it("fills the copy anew when the log begins behind its end", () => {
    const desk = withEvents(1, 2, 3, 4);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.offer(desk.log.messages.slice(0, 3));
    desk.log.purgeBefore(6);
    copy.survey(desk.log);
    expect(copy.outputs.at(-2)).toMatchObject({ do: "raise", code: "copy-behind-log-start" });
    copy.run(copy.machine.discarded(copy.last("empty").token, true));
    copy.stream.restore({ messages: [], lastSeq: copy.stream.lastSeq });
    copy.compare(desk.log);
    copy.offer(desk.log.from(copy.last("read").fromSeq, 100));
    expect(copy.ids()).toEqual(idsOf(desk.log));
  });

  it("goes on where the log was purged exactly up to the copy's end", () => {
    const desk = withEvents(1, 2, 3, 4);
    const copy = new Copy();
    copy.survey(desk.log);
    copy.offer(desk.log.messages.slice(0, 5));
    desk.log.purgeBefore(6);
    copy.follow(desk.log);
    expect(copy.machine.phase).toBe("following");
    expect(copy.ids()).toHaveLength(desk.log.lastSeq);
  });

  it("does not mend what it surveyed anew meanwhile", () => {
    const copy = new Copy();
    copy.follow(withEvents(1).log);
    copy.survey(withEvents(1).log);
    const { token } = copy.last("discard");
    copy.run(copy.machine.begin());
    expect(copy.machine.awaits(token)).toBe(false);
    expect(copy.machine.discarded(token, true)).toEqual([]);
  });
});
