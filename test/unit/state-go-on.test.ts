import { describe, expect, it } from "vitest";
import { changedDomains, contractKeys } from "../../agent/state/contract-keys.ts";
import { nextStep, type Standing, type StreamNow, whereToGoOn } from "../../agent/state/go-on.ts";
import { domainsToRebuild, nextGeneration, switched } from "../../agent/state/rebuild-plan.ts";
import { emptyCheckpoint } from "../../agent/state/state-rebuild.ts";
import { parseStateSubject, stateSubject } from "../../shared/consistency/state/state-keys.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import type { LogPosition, Reign } from "../../shared/protocol/reign.ts";
import { formatLogPosition } from "../../shared/protocol/reign.ts";
import { contractsOf } from "../support/state-node.ts";

const first: Reign = { epoch: 1, id: "aa" };
const second: Reign = { epoch: 2, id: "bb" };
const at = (reign: Reign, index: number): LogPosition => ({ reign, index });

/** Folded 100 messages of a log that began at its birth. */
const standing: Standing = {
  seq: 100,
  created: "monday",
  here: formatLogPosition(at(first, 100)),
  at: at(first, 100),
  reigns: [{ reign: first, index: 1 }],
};
const now: StreamNow = {
  created: "monday",
  firstSeq: 1,
  here: formatLogPosition(at(first, 100)),
  reigns: [{ reign: first, index: 1, seq: 1 }],
  last: at(first, 120),
};

describe("where folding goes on", () => {
  it("behind where it stood, also when what it had folded is purged", () => {
    expect(whereToGoOn(standing, now)).toEqual({ kind: "behind", startSeq: 101, gap: false });
    const purged = {
      ...now,
      firstSeq: 101,
      here: undefined,
      reigns: [{ reign: first, index: 101, seq: 101 }],
    };
    expect(whereToGoOn(standing, purged)).toEqual({ kind: "behind", startSeq: 101, gap: false });
  });

  it("with a gap, when more than that is purged", () => {
    const purged = {
      ...now,
      firstSeq: 105,
      here: undefined,
      reigns: [{ reign: first, index: 105, seq: 105 }],
    };
    expect(whereToGoOn(standing, purged)).toEqual({ kind: "behind", startSeq: 105, gap: true });
    const nothing = { ...standing, seq: 0, here: null, at: undefined, reigns: [] };
    expect(whereToGoOn(nothing, purged)).toMatchObject({ kind: "behind", gap: true });
    expect(whereToGoOn(nothing, now)).toMatchObject({ kind: "behind", gap: false, startSeq: 1 });
  });

  it("again from the start, in another stream or a mended one with the same log", () => {
    expect(whereToGoOn(standing, { ...now, created: "tuesday" })).toMatchObject({
      kind: "again",
      startSeq: 1,
    });
    expect(whereToGoOn(standing, { ...now, here: undefined })).toMatchObject({ kind: "again", gap: false });
    // The stream was put back, and is filled again with what it had.
    expect(whereToGoOn(standing, { ...now, here: undefined, last: at(first, 50) })).toMatchObject({
      kind: "again",
    });
  });

  it("not at all where another reign stands at what was folded", () => {
    const restored = {
      ...now,
      reigns: [...now.reigns, { reign: second, index: 81, seq: 101 }],
      last: at(second, 90),
    };
    expect(whereToGoOn(standing, restored)).toMatchObject({ kind: "other-log", sound: 80 });
    const later = {
      ...now,
      reigns: [...now.reigns, { reign: second, index: 101, seq: 101 }],
      last: at(second, 110),
    };
    expect(whereToGoOn(standing, later)).toMatchObject({ kind: "behind" });
    // Folded in a reign that the log no longer has, though it wrote on at those indexes.
    const inSecond = {
      ...standing,
      at: at(second, 110),
      reigns: [...standing.reigns, { reign: second, index: 101 }],
    };
    expect(whereToGoOn(inSecond, now)).toMatchObject({ kind: "other-log", sound: 100 });
    expect(whereToGoOn(inSecond, { ...now, last: at(first, 100) })).not.toMatchObject({ kind: "other-log" });
  });
});

const message = (
  seq: number,
  position?: LogPosition,
  subject = "cim.events.person.ada.Changed",
  body = "{}",
) =>
  ({
    seq,
    timeUs: 0,
    subject,
    headerText: position ? `Cim-Log: ${formatLogPosition(position)}\r\n` : "",
    body: Buffer.from(body),
  }) satisfies StoredMessage;
const begins = (seq: number, reign: Reign, index: number, previous: LogPosition) =>
  message(seq, at(reign, index), "cim.events._cim.reign", JSON.stringify({ reign, by: "test", previous }));

describe("what a message is", () => {
  const taken = { at: at(first, 100), seq: 200 };

  it("next, late, or beside the log", () => {
    expect(nextStep(undefined, message(1, at(first, 7)), true)).toMatchObject({ kind: "next" });
    expect(nextStep(taken, message(201, at(first, 101)), true)).toMatchObject({ kind: "next" });
    expect(nextStep(taken, message(201, at(first, 55)), false)).toMatchObject({ kind: "late" });
    expect(nextStep(taken, message(201), true)).toEqual({ kind: "beside" });
    // Somebody's answer that bears the headers of a message of the log.
    expect(nextStep(taken, message(201, at(first, 900)), true)).toEqual({ kind: "beside" });
    expect(nextStep(taken, message(201, at(second, 101)), true)).toEqual({ kind: "beside" });
    // A copy of some domains lacks the indexes of others; in the log itself they were deleted.
    expect(nextStep(taken, message(201, at(first, 130)), false)).toMatchObject({ kind: "next" });
    expect(nextStep(taken, message(231, at(first, 131)), true)).toMatchObject({ kind: "next" });
  });

  it("of another log, when a younger reign begins below what was folded", () => {
    expect(nextStep(taken, begins(201, second, 101, at(first, 100)), true)).toMatchObject({ kind: "next" });
    expect(nextStep(taken, begins(201, second, 61, at(first, 60)), true)).toEqual({
      kind: "other-log",
      sound: 60,
    });
    const older = { at: at(second, 100), seq: 200 };
    expect(nextStep(older, begins(201, first, 1, at(first, 0)), false)).toMatchObject({ kind: "late" });
  });
});

describe("what is folded anew", () => {
  const counter = { resolver: "crdt", fields: { n: "counter" } } as const;
  const keys = contractKeys(contractsOf({ person: counter }));
  const before = emptyCheckpoint("test", { domains: ["*"], contracts: keys });
  const wanted = (contracts: Parameters<typeof contractsOf>[0], domains: readonly string[] = ["*"]) =>
    domainsToRebuild(before, { domains, contracts: contractKeys(contractsOf(contracts)) });

  it("is the domain whose contract decides otherwise, and nothing for what decides no state", () => {
    expect(wanted({ person: counter })).toEqual([]);
    expect(wanted({ person: { ...counter, mode: "strong", retentionDays: 9, subscribers: [] } })).toEqual([]);
    expect(wanted({ person: { resolver: "vector-clock" } })).toEqual(["person"]);
    expect(wanted({})).toEqual(["person"]);
    expect(wanted({ person: counter, orders: counter })).toEqual(["orders"]);
    expect(changedDomains(keys, { ...keys, "*": "other" })).toEqual(["*"]);
  });

  it("is what is newly asked for; with fewer domains everything", () => {
    const some = { ...before, domains: ["person"] };
    expect(domainsToRebuild(some, { domains: ["orders", "person"], contracts: keys })).toEqual(["orders"]);
    expect(domainsToRebuild(some, { domains: ["*"], contracts: keys })).toEqual(["*"]);
    expect(wanted({ person: counter }, ["person"])).toEqual(["*"]);
  });

  it("gets a generation that nothing has, and the old one is let go of", () => {
    const present = { ...before, generations: { "*": 3, person: 5 } };
    expect(nextGeneration(present, undefined)).toBe(6);
    expect(switched(present, { domains: ["person"], generation: 6 })).toEqual({
      generations: { "*": 3, person: 6 },
      stale: ["$KV.CIM_STATE.g5.person.>"],
    });
    const all = switched(present, { domains: ["*"], generation: 6 });
    expect(all.generations).toEqual({ "*": 6 });
    expect(all.stale).toContain("$KV.CIM_STATE.g3.>");
    expect(all.stale).toContain("$KV.CIM_STATE.g5.>");
  });
});

describe("a state's key", () => {
  it("is one that KV clients take, whatever the aggregate is called", () => {
    for (const aggregate of ["ada", "a.b.c", "Zoë=1/2", "日本", "a b", "=20"]) {
      const subject = stateSubject(7, "person", aggregate);
      expect(subject).toMatch(/^\$KV\.CIM_STATE\.[-/_=.a-zA-Z0-9]+$/);
      expect(parseStateSubject(subject)).toEqual({ generation: 7, domain: "person", aggregate });
    }
    expect(parseStateSubject("$KV.CIM_STATE._checkpoint")).toBeUndefined();
  });
});
