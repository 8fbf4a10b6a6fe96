import { describe, expect, it } from "vitest";
import { type CommitReply, RECOGNISED_MS } from "../../shared/protocol/commit.ts";
import { Desk, shipped } from "../simulation/desk.ts";

const UNKNOWN = { kind: "unknown", reason: "no answer" } as const;
const id = (id: string, version?: string | number) => ({
  "Nats-Msg-Id": id,
  ...(version !== undefined && { "Cim-Expected-Version": String(version) }),
});

function answered(desk: Desk, token: number): CommitReply | undefined {
  if (!desk.answers.has(token)) return undefined;
  return desk.answers.get(token);
}

function versionOf(desk: Desk, token: number): number {
  const reply = answered(desk, token);
  if (!reply || !("version" in reply)) throw new Error(`not stored: ${JSON.stringify(reply)}`);
  return reply.version;
}

describe("a commit to a strong domain", () => {
  it("is answered as JetStream answers a publish, with the version its aggregate has then, when it is stored", () => {
    const desk = new Desk().lead();
    desk.holds = ["write"];
    const token = desk.commit("leaf1", { ...id("one"), "X-Correlation-ID": "c" });
    expect(answered(desk, token)).toBeUndefined();
    desk.release();
    const index = desk.machine.state?.position?.index;
    expect(answered(desk, token)).toEqual({
      stream: "CIM_EVENTS",
      domain: "hub",
      seq: desk.log.lastSeq,
      version: index,
    });
    const { headerText } = desk.log.messages.at(-1) ?? { headerText: "" };
    expect(headerText).toContain(`Cim-Origin: leaf1 ${desk.machine.reign?.epoch} c ${index}\r\n`);
    expect(headerText).toContain("X-Correlation-ID: c\r\n");
    expect(headerText).not.toMatch(/Nats-|Expected/);
  });

  it("is taken at the version it expects, and refused with the version there is at any other", () => {
    const desk = new Desk().lead();
    const first = versionOf(desk, desk.commit("leaf1", id("one", "none")));
    const second = versionOf(desk, desk.commit("leaf2", id("two", first)));
    expect(second).toBeGreaterThan(first);
    for (const wrong of ["none", 0, first, second + 1])
      expect(answered(desk, desk.commit("leaf1", id("three", wrong)))).toMatchObject({
        error: { code: 400, err_code: 10071 },
        refusal: "version",
        actual: second,
      });
    const elsewhere = { subject: "cim.events.strong.a2.Happened" };
    versionOf(desk, desk.commit("leaf1", id("four", "none"), elsewhere));
    expect(desk.ids()).toEqual(["one", "two", "four"]);
  });

  it("counts events of every type of its aggregate, and those that an outbox brought while it was not strong", () => {
    const desk = new Desk().lead().known("leaf1", shipped(1, { subject: "cim.events.strong.a1.Older" }));
    const refused = answered(desk, desk.commit("leaf1", id("one", "none")));
    expect(refused).toMatchObject({ refusal: "version" });
    const actual = refused && "actual" in refused ? (refused.actual ?? 0) : 0;
    versionOf(desk, desk.commit("leaf1", id("two", actual), { subject: "cim.events.strong.a1.Other" }));
  });

  it("is one of those that expect the same version, also when they are written together", () => {
    const desk = new Desk().lead();
    desk.holds = ["write"];
    desk.commit("leaf3", id("other"), { subject: "cim.events.strong.a2.Happened" });
    const tokens = ["leaf1", "leaf2", "leaf3"].map((leaf) => desk.commit(leaf, id(`of-${leaf}`, "none")));
    desk.release();
    // Nothing is said of those that lost before the one that won is stored.
    expect(tokens.some((token) => desk.answers.has(token))).toBe(false);
    desk.release();
    const stored = tokens.filter((token) => "version" in (answered(desk, token) ?? {}));
    expect(stored).toHaveLength(1);
    expect(desk.ids()).toHaveLength(2);
    for (const token of tokens.filter((one) => !stored.includes(one)))
      expect(answered(desk, token)).toMatchObject({ actual: versionOf(desk, stored[0] as number) });
  });

  it("is the same one when its id comes again, to whoever leads then and whatever it expects", () => {
    const desk = new Desk().lead();
    const first = desk.commit("leaf1", id("one", "none"));
    const version = versionOf(desk, first);
    const again = { ...answered(desk, first), duplicate: true };
    expect(answered(desk, desk.commit("leaf1", id("one", "none")))).toEqual(again);
    desk.run(desk.machine.checkpoint());
    const restarted = new Desk(desk.log).lead();
    expect(answered(restarted, restarted.commit("leaf2", id("one", version)))).toEqual(again);
    expect(restarted.ids()).toEqual(["one"]);
    const other = { subject: "cim.events.strong.a2.Happened" };
    expect(answered(restarted, restarted.commit("leaf1", id("one"), other))).toMatchObject({
      error: { description: expect.stringContaining("cim.events.strong.a1.Happened") },
      refusal: "event",
    });
  });

  it("is judged by what a domain got while it was not strong, whatever was asked for it then", () => {
    let strong = true;
    const rules = { maxMessageBytes: 4096, hub: "hub", isStrong: () => strong };
    const desk = new Desk(undefined, { rules }).lead();
    const before = versionOf(desk, desk.commit("leaf1", id("one")));
    strong = false;
    desk.machine.forgetVersions();
    expect(answered(desk, desk.commit("leaf1", id("two", before)))).toMatchObject({ refusal: "domain" });
    desk.known("leaf2", shipped(1, { subject: "cim.events.strong.a1.Happened" }));
    strong = true;
    expect(answered(desk, desk.commit("leaf1", id("three", before)))).toMatchObject({ refusal: "version" });
  });

  it("counts as taken after all that stands before it, though the hub's clock was set back, over a start too", () => {
    let nowMs = 5000;
    const desk = new Desk(undefined, { nowMs: () => nowMs }).lead();
    desk.commit("leaf1", id("one"));
    nowMs = 3000;
    desk.commit("leaf1", id("two"));
    desk.run(desk.machine.checkpoint());
    const restarted = new Desk(desk.log, { nowMs: () => nowMs }).lead();
    restarted.commit("leaf1", id("three"));
    nowMs = 6000;
    restarted.commit("leaf1", id("four"));
    const taken = desk.log.messages.flatMap(
      ({ headerText }) => /Cim-Time: \d+ (\d+)/.exec(headerText)?.[1] ?? [],
    );
    expect(taken.map(Number)).toEqual([5_000_000, 5_000_000, 5_000_000, 6_000_000]);
  });

  it("is another one when its id comes again long after", () => {
    let nowMs = 1;
    const desk = new Desk(undefined, { nowMs: () => nowMs }).lead();
    desk.commit("leaf1", id("one"));
    nowMs += RECOGNISED_MS - 1;
    desk.commit("leaf1", id("two"));
    expect(answered(desk, desk.commit("leaf1", id("one")))).toMatchObject({ duplicate: true });
    nowMs += 2;
    desk.commit("leaf1", id("three"));
    expect(answered(desk, desk.commit("leaf1", id("one")))).not.toMatchObject({ duplicate: true });
  });

  it.each([
    [{}, "Nats-Msg-Id"],
    [{ ...id("x"), "Nats-Expected-Last-Subject-Sequence": "3" }, "Cim-Expected-Version"],
    [{ ...id("x"), "nats-expected-last-sequence": "3" }, "nats-expected-last-sequence"],
    [{ ...id("x"), "Nats-Batch-Id": "b" }, "Nats-Batch-Id is not offered"],
    [id("x", "newest"), "newest is no version"],
    [id("x", "-1"), "-1 is no version"],
  ])("is refused for %o, saying what to write", (headers, words) => {
    const desk = new Desk().lead();
    const reply = answered(desk, desk.commit("leaf1", headers));
    expect(reply).toMatchObject({ error: { code: 400 }, refusal: "event" });
    expect(JSON.stringify(reply)).toContain(words);
    expect(desk.ids()).toEqual([]);
  });

  it("is refused in a domain that is not strong at the hub, and where it is too large", () => {
    const desk = new Desk().lead();
    const weak = desk.commit("leaf1", id("x"), { subject: "cim.events.person.p1.Created" });
    expect(answered(desk, weak)).toMatchObject({ refusal: "domain" });
    const large = desk.commit("leaf1", id("x"), { body: "x".repeat(5000) });
    expect(answered(desk, large)).toMatchObject({ refusal: "event" });
    expect(desk.ids()).toEqual([]);
  });

  it("is not refused for a version that was only read before its aggregate's newest event was stored", () => {
    const desk = new Desk().lead();
    desk.holds = ["version"];
    const first = desk.commit("leaf1", id("one", "none"));
    const reading = desk.held.shift();
    // Stored while the version is being read, which then says what was before.
    const stored = versionOf(desk, desk.commit("leaf2", id("two")));
    if (reading?.do !== "version") throw new Error("no version is read");
    desk.run(desk.machine.versionRead(reading.token, reading.aggregate, 0));
    expect(answered(desk, first)).toMatchObject({ refusal: "version", actual: stored });
  });

  it("is judged by the log where the version is not remembered any more", () => {
    const desk = new Desk(undefined, { mostVersions: 1 }).lead();
    const version = versionOf(desk, desk.commit("leaf1", id("one")));
    for (const n of [2, 3, 4]) desk.commit("leaf1", id(`of-${n}`), { subject: `cim.events.strong.a${n}.X` });
    expect(answered(desk, desk.commit("leaf1", id("two", version + 1)))).toMatchObject({ actual: version });
    versionOf(desk, desk.commit("leaf1", id("three", version)));
  });
});

describe("a commit whose write's outcome is unknown", () => {
  it("is answered when the log was read again: stored if it was", () => {
    const desk = new Desk().lead();
    desk.holds = ["write"];
    const token = desk.commit("leaf1", id("one", "none"));
    const write = desk.held[0];
    if (write?.do !== "write") throw new Error("nothing is written");
    desk.log.write(write.messages, write.expect, 1);
    desk.holds = [];
    desk.release(UNKNOWN);
    expect(desk.rereads).toHaveLength(1);
    expect(answered(desk, token)).toMatchObject({ duplicate: true, stream: "CIM_EVENTS" });
    expect(desk.ids()).toEqual(["one"]);
  });

  it("is stored then if it was not, once", () => {
    const desk = new Desk().lead();
    desk.holds = ["write"];
    const token = desk.commit("leaf1", id("one", "none"));
    desk.holds = [];
    desk.release(UNKNOWN);
    versionOf(desk, token);
    expect(desk.ids()).toEqual(["one"]);
  });

  it("is not answered at all by a leader that ends before it knows; one that was not sent is", () => {
    const desk = new Desk().lead();
    desk.holds = ["write"];
    const sent = desk.commit("leaf1", id("one"));
    const waits = desk.commit("leaf1", id("two"));
    desk.run(desk.machine.stop());
    expect(desk.answers.has(sent)).toBe(true);
    expect(desk.answers.get(sent)).toBeUndefined();
    expect(answered(desk, waits)).toMatchObject({ refusal: "unavailable", error: { code: 503 } });
  });

  it("is given up when the log can't be read for long, without a word if it was sent", () => {
    let nowMs = 1;
    const desk = new Desk(undefined, { nowMs: () => nowMs }).lead();
    desk.holds = ["write"];
    const sent = desk.commit("leaf1", id("one"));
    const waits = desk.commit("leaf1", id("two"));
    desk.stays = true;
    desk.release(UNKNOWN);
    const late = desk.commit("leaf1", id("three"));
    nowMs += 60_000;
    desk.run(desk.machine.expire());
    expect(desk.answers.get(sent)).toBeUndefined();
    for (const token of [waits, late])
      expect(answered(desk, token)).toMatchObject({ refusal: "unavailable" });
    expect(desk.machine.waitingBytes).toBe(0);
    desk.holds = [];
    desk.lead();
    expect(desk.ids()).toEqual([]);
  });
});

describe("a leader that was overtaken", () => {
  it("refuses no commit for what its log was", () => {
    const paused = new Desk().lead();
    const version = versionOf(paused, paused.commit("leaf1", id("one")));
    const other = new Desk(paused.log).lead();
    const newest = versionOf(other, other.commit("leaf2", id("two", version)));
    paused.stays = true;
    const token = paused.commit("leaf1", id("three", newest));
    expect(paused.answers.has(token)).toBe(false);
    expect(paused.rereads).toHaveLength(1);
  });
});

describe("too many commits", () => {
  it("are sent back instead of kept in memory", () => {
    const desk = new Desk(undefined, { maxWaitingBytes: 2000 }).lead();
    desk.holds = ["write"];
    const tokens = Array.from({ length: 50 }, (_, n) => desk.commit("leaf1", id(`of-${n}`)));
    const refused = tokens.filter((token) => desk.answers.has(token));
    expect(refused.length).toBeGreaterThan(20);
    for (const token of refused) expect(answered(desk, token)).toMatchObject({ refusal: "unavailable" });
    while (desk.held.length > 0) desk.release();
    expect(desk.ids()).toHaveLength(50 - refused.length);
  });
});
