import { styleText } from "node:util";
import type { ConflictVersion, JournalledConflict } from "../coordinator/conflicts/conflict-record.ts";
import { versionWords } from "../coordinator/conflicts/why-of.ts";
import { printable, shortId, timeWords } from "./event-words.ts";
import { textTable } from "./text-table.ts";

const HEADING = ["ID", "TIME", "AGGREGATE", "WHERE", "STANDS", "LOST", "SINCE"];

/** The table of `cim conflicts list`. What may have been no conflict has a `?`. */
export function conflictLines(conflicts: readonly JournalledConflict[], nowMs: number): string[] {
  if (conflicts.length === 0) return ["no conflicts"];
  const rows = conflicts.map((conflict) => [
    conflict.certain ? conflict.id : `${conflict.id}?`,
    timeWords(conflict.atMs, nowMs),
    `${conflict.domain}.${printable(conflict.aggregate)}`,
    placeWords(conflict.path),
    shortVersion(conflict.winner, conflict),
    shortVersion(conflict.loser, conflict) + (conflict.kind === "siblings" ? " (kept)" : ""),
    sinceWords(conflict),
  ]);
  return textTable([HEADING, ...rows], "", (text, row) => (row === 0 ? styleText("dim", text) : text));
}

/** The screen of `cim conflicts show`. */
export function conflictScreen(conflict: JournalledConflict, nowMs: number): string[] {
  const { id, domain, aggregate, path, kind, rule, resolver, log, atMs, winner, loser, why } = conflict;
  const rows: [string, string][] = [
    ["aggregate", `${domain}.${printable(aggregate)}`],
    ["where", placeWords(path)],
    ["stands", longVersion(winner, conflict, nowMs)],
    [kind === "siblings" ? "beside it" : "lost", longVersion(loser, conflict, nowMs)],
    ["rule", `${kind} by ${resolver}: ${rule}`],
    ["showed", `${timeWords(atMs, nowMs)}, at ${log} in the log`],
    ["since", sinceWords(conflict) || "nothing was done about it"],
  ];
  return [
    styleText("bold", `conflict ${id}`),
    ...textTable(rows, "  ", (text, _, column) => (column === 0 ? styleText("dim", text) : text)),
    "",
    `  ${printable(why)}`,
  ];
}

export const placeWords = (path: readonly string[]): string =>
  path.length === 0 ? "all of it" : printable(path.join("."));

function shortVersion(version: ConflictVersion | null, of: JournalledConflict): string {
  if (!version) return "-";
  const text = printable(versionWords(version, of));
  return `${text.length > 28 ? `${text.slice(0, 27)}…` : text} ${version.node}`;
}

/** With all of the value that is known. */
function longVersion(version: ConflictVersion | null, of: JournalledConflict, nowMs: number): string {
  if (!version) return "-";
  const { value, node, countsMs, event } = version;
  const words = versionWords(version, of);
  const text = words.endsWith("…") ? JSON.stringify(value) : words;
  return `${printable(text)} by ${node} at ${timeWords(countsMs, nowMs)}, event ${printable(event)}`;
}

function sinceWords({ resolution }: JournalledConflict): string {
  if (!resolution) return "";
  return `${resolution.how} by ${shortId(resolution.event)} of ${resolution.node}`;
}
