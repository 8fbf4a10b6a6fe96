import { describe, expect, it } from "vitest";
import { eventFilters } from "../../cli/event-filter.ts";
import { parseLogPlace } from "../../cli/log-place.ts";
import { positiveNumber, wholeNumber } from "../../cli/number-option.ts";
import { agoWords, byteWords, counted, durationWords } from "../../cli/quantity-words.ts";
import { textTable } from "../../cli/text-table.ts";
import { replayPrefixFault, replaySubject } from "../../shared/protocol/replay.ts";

const line = (work: () => unknown) => {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
};

describe("a table", () => {
  it("aligns its columns, and colours do not count", () => {
    const rows = [
      ["NODE", "HEALTH", "LAG"],
      ["hub", "up", ""],
      ["a-long-name", "down", "3"],
    ];
    expect(textTable(rows)).toEqual([
      "NODE         HEALTH  LAG",
      "hub          up",
      "a-long-name  down    3",
    ]);
    const painted = textTable(rows, "  ", (text, row, column) =>
      row > 0 && column === 1 ? `<${text}>` : text,
    );
    expect(painted).toEqual([
      "  NODE         HEALTH  LAG",
      "  hub          <up>",
      "  a-long-name  <down>    3",
    ]);
  });
});

describe("quantities", () => {
  it("are told with the precision that people need", () => {
    expect([0, 0.04, 1.26, 12.4, 119, 120, 7_300, 200_000].map(durationWords)).toEqual([
      "0 s",
      "0 s",
      "1.3 s",
      "12 s",
      "119 s",
      "2 min",
      "2 h",
      "2 d",
    ]);
    expect([agoWords(0.3), agoWords(75)]).toEqual(["now", "75 s ago"]);
    expect([0, 900, 1024, 20_000_000, 3e12].map(byteWords)).toEqual([
      "0 B",
      "900 B",
      "1.0 KiB",
      "19 MiB",
      "2.7 TiB",
    ]);
    expect([counted(1, "event"), counted(1_234, "event")]).toEqual(["1 event", "1,234 events"]);
  });

  it("are read, or refused in one line", () => {
    expect(wholeNumber("12", "--count")).toBe(12);
    expect(wholeNumber("0", "--after", 0)).toBe(0);
    for (const text of ["0", "-1", "1.5", "", "1e3", "x"]) {
      expect(line(() => wholeNumber(text, "--count"))).toBe(
        `--count: "${text}" is not a whole number from 1 on`,
      );
    }
    expect(positiveNumber("0.5", "--rate", "100")).toBe(0.5);
    for (const text of ["0", "-1", "", "Infinity", "x"]) {
      expect(line(() => positiveNumber(text, "--rate", "100"))).toMatch(/^--rate: [^\n]*; write one as 100$/);
    }
  });
});

describe("a place in the log", () => {
  const nowMs = new Date(2026, 10, 24, 12, 0, 0).getTime();
  const place = (text: string) => parseLogPlace(text, "--from", nowMs);
  const at = (year: number, month: number, day: number, ...time: number[]) => {
    const [hours = 0, minutes = 0, seconds = 0] = time;
    return { kind: "time", atMs: new Date(year, month, day, hours, minutes, seconds).getTime() };
  };

  it("is a number, a word, or a time where the user is", () => {
    expect(place("start")).toEqual({ kind: "start" });
    expect(place("now")).toEqual({ kind: "end" });
    expect(place("1200")).toEqual({ kind: "index", index: 1200 });
    expect(place("15m")).toEqual({ kind: "time", atMs: nowMs - 15 * 60_000 });
    expect(place("1.5h")).toEqual({ kind: "time", atMs: nowMs - 90 * 60_000 });
    expect(place("10:15")).toEqual(at(2026, 10, 24, 10, 15));
    expect(place("9:05:30")).toEqual(at(2026, 10, 24, 9, 5, 30));
    expect(place("2026-11-23")).toEqual(at(2026, 10, 23));
    expect(place("2026-11-23T10:15")).toEqual(at(2026, 10, 23, 10, 15));
    expect(place("2026-11-23 10:15:01")).toEqual(at(2026, 10, 23, 10, 15, 1));
    expect(place("2026-11-23T10:15:00Z")).toEqual({ kind: "time", atMs: Date.UTC(2026, 10, 23, 10, 15) });
  });

  it("is refused in one line when it is none", () => {
    for (const text of ["", "yesterday", "-5", "24:00", "10:60", "2026-13-01", "12 parsecs", "1e3"]) {
      expect(line(() => place(text))).toMatch(/^--from: "[^\n]*" is no place in the log; write [^\n]+$/);
    }
  });
});

describe("a filter", () => {
  it("means what it names and all below it", () => {
    expect(eventFilters(undefined, "tail")).toEqual([]);
    expect(eventFilters("person", "tail")).toEqual(["cim.events.person.>"]);
    expect(eventFilters("cim.events.person.>", "tail")).toEqual(["cim.events.person.>"]);
    expect(eventFilters("person.ada", "tail")).toEqual(["cim.events.person.ada", "cim.events.person.ada.>"]);
    expect(eventFilters("*.*.PersonCreated", "tail")[0]).toBe("cim.events.*.*.PersonCreated");
  });

  it("is refused in one line when it is none", () => {
    for (const text of ["", "a b", "a..b", ">.a", "person.", "per*son"]) {
      expect(line(() => eventFilters(text, "tail"))).toMatch(
        /^tail: "[^\n]*" is not a filter; write [^\n]+$/,
      );
    }
  });
});

describe("a prefix to replay into", () => {
  it("is anything where nothing is live", () => {
    for (const prefix of ["cim.replay", "cim.replay.test.1", "mine.test"])
      expect(replayPrefixFault(prefix)).toBeUndefined();
    expect(replaySubject("cim.replay.t", "cim.events.person.ada.PersonCreated")).toBe(
      "cim.replay.t.person.ada.PersonCreated",
    );
  });

  it("is refused where events would be taken for new ones, or commands", () => {
    const live = [
      "cim",
      "cim.events",
      "cim.events.person",
      "cim.log",
      "cim.log.x",
      "cim.ingest.leaf1",
      "cim.commands",
    ];
    for (const prefix of [...live, "$JS.API", "_INBOX.x", "", "a b", "cim.replay.>", "cim.replay.", "*"]) {
      expect(replayPrefixFault(prefix), prefix).toMatch(/^"[^\n]*; write one as cim\.replay\.test$/);
    }
  });
});
