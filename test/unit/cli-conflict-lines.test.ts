import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { conflictLines, conflictScreen } from "../../cli/conflict-lines.ts";
import type { ConflictVersion, JournalledConflict } from "../../coordinator/conflicts/conflict-record.ts";

const NOON = new Date(2026, 10, 24, 12).getTime();

const version = (node: string, value?: unknown): ConflictVersion => ({
  event: `0000-${node}-abcdef`,
  node,
  dot: `${node}/1:3`,
  countsMs: NOON,
  order: 0,
  bound: null,
  ...(value !== undefined && { value }),
});
const lost: JournalledConflict = {
  v: 1,
  id: "12.1",
  log: "3-ab.12",
  atMs: NOON,
  domain: "person",
  aggregate: "ada",
  resolver: "last-write-wins",
  path: ["address", "city"],
  kind: "lost",
  rule: "later clock",
  certain: true,
  winner: version("leaf2", "Rome"),
  loser: version("leaf1", "Bonn"),
  why: "Because.",
  resolution: null,
};

const plain = (lines: readonly string[]) => lines.map(stripVTControlCharacters);

test("the list is a table; uncertain ones have a question mark, and what was done is told", () => {
  const resolution = {
    v: 1,
    id: "12.1",
    event: "00-12345678",
    node: "hub",
    log: "",
    atMs: 0,
    seq: 1,
  } as const;
  const done: JournalledConflict = { ...lost, resolution: { ...resolution, how: "reinstated" } };
  const removed: JournalledConflict = {
    ...lost,
    id: "9.1",
    certain: false,
    kind: "removed",
    winner: version("leaf2", null),
  };
  const kept: JournalledConflict = {
    ...lost,
    id: "8.1",
    kind: "siblings",
    rule: "concurrent",
    path: [],
    loser: version("leaf1", "x".repeat(40)),
  };
  expect(plain(conflictLines([done, removed, kept], NOON))).toEqual([
    "ID    TIME          AGGREGATE   WHERE         STANDS             LOST                                       SINCE",
    '12.1  12:00:00.000  person.ada  address.city  "Rome" leaf2       "Bonn" leaf1                               reinstated by 12345678 of hub',
    '9.1?  12:00:00.000  person.ada  address.city  the removal leaf2  "Bonn" leaf1',
    `8.1   12:00:00.000  person.ada  all of it     "Rome" leaf2       "${"x".repeat(26)}… leaf1 (kept)`,
  ]);
  expect(conflictLines([], NOON)).toEqual(["no conflicts"]);
});

test("one conflict is told in full, with what a person could not type cut out", () => {
  const long = { ...lost, loser: version("leaf1", `${"x".repeat(80)}\u001b[2J`) };
  expect(plain(conflictScreen(long, NOON))).toEqual([
    "conflict 12.1",
    "  aggregate  person.ada",
    "  where      address.city",
    '  stands     "Rome" by leaf2 at 12:00:00.000, event 0000-leaf2-abcdef',
    `  lost       "${"x".repeat(80)}\\u001b[2J" by leaf1 at 12:00:00.000, event 0000-leaf1-abcdef`,
    "  rule       lost by last-write-wins: later clock",
    "  showed     12:00:00.000, at 3-ab.12 in the log",
    "  since      nothing was done about it",
    "",
    "  Because.",
  ]);
});
