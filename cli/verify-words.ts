import { styleText } from "node:util";
import type { ScrubView } from "../coordinator/proof/scrub-progress.ts";
import { agoWords, counted, countWords, durationWords } from "./quantity-words.ts";
import { textTable } from "./text-table.ts";
import type { VerifiedPair } from "./verify-pairs.ts";

const COLOURS = {
  "in-sync": "green",
  lagging: "yellow",
  stalled: "red",
  diverged: "red",
  unknown: "dim",
} as const;

const HEADING = ["NODE", "WHAT", "STATE", "UP TO", "EVENTS", "HASH", ""];

/** The screen of `cim verify`. */
export function verifyLines(pairs: readonly VerifiedPair[], scrub: ScrubView, nowMs: number): string[] {
  const rows = pairs.map((pair) => [
    pair.node,
    pair.of,
    pair.state,
    pair.compared ? countWords(pair.compared.upTo) : "-",
    pair.compared ? countWords(pair.compared.events) : "-",
    pair.compared?.hash ?? "-",
    remark(pair, nowMs),
  ]);
  const table = textTable([HEADING, ...rows], "", (text, row, column) => {
    if (row === 0) return styleText("dim", text);
    const { state } = pairs[row - 1] as VerifiedPair;
    return column === 2 ? styleText(COLOURS[state], text) : text;
  });
  return [...table, ...pairs.flatMap(differenceLines), "", scrubWords(scrub, nowMs)];
}

function remark(
  { state, lagEvents, lagSeconds, estimateS, since, compared, reason }: VerifiedPair,
  nowMs: number,
): string {
  const words: string[] = [];
  if (lagEvents && (state === "lagging" || state === "stalled")) {
    words.push(`${counted(lagEvents, "event")} behind`);
    if (lagSeconds) words.push(`the oldest for ${durationWords(lagSeconds)}`);
    if (state === "stalled" && since !== null)
      words.push(`nothing moves for ${durationWords((nowMs - Date.parse(since)) / 1000)}`);
    if (estimateS !== null) words.push(`${durationWords(estimateS)} to go`);
  }
  if (!compared) words.push(`not compared: ${reason ?? "its node can't be reached"}`);
  else if (compared.look === "content")
    words.push(compared.disk ? "read from the disk" : "read through its server");
  return words.join(", ");
}

/** So many events are printed; `--json` has them all. */
const MOST_EVENTS = 20;

function differenceLines({ node, of, difference }: VerifiedPair): string[] {
  if (!difference) return [];
  const { ranges, more, side, events } = difference;
  const places = ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
  const where = of === "copy" ? "of the log's indexes" : "of its sequences";
  const whose =
    side === "log"
      ? ": the log is not what it was"
      : side === "node"
        ? ": other copies agree with the log"
        : "";
  const lines = [
    "",
    styleText(
      "red",
      `The ${of} of ${node} differs from the log in ${places} ${where}${more ? " and more" : ""}${whose}.`,
    ),
  ];
  const named = events?.slice(0, MOST_EVENTS) ?? [];
  lines.push(
    ...named.map(
      ({ kind, place, id, domain }) =>
        `  ${KIND[kind]}  ${place}  ${id}${domain === "" ? "" : `  ${domain}`}`,
    ),
  );
  if (events && events.length > named.length)
    lines.push(`  and ${counted(events.length - named.length, "event")} more`);
  if (!events) lines.push("  cim verify --deep names the events");
  return lines;
}

const KIND = {
  missing: "missing",
  extra: "not in the log",
  twice: "more than once",
  changed: "changed",
} as const;

function scrubWords({ done, last, parts }: ScrubView, nowMs: number): string {
  const before =
    last === null
      ? "All that is stored was not yet read since the coordinator's start"
      : `All that is stored was last read ${agoWords((nowMs - Date.parse(last.finished)) / 1000)}, of ${last.read} of ${counted(last.parts, "copy or outbox", "copies and outboxes")}`;
  const now = done === null ? "" : `; ${Math.floor(done * 100)} % of ${parts} are read now`;
  return styleText("dim", `${before}${now}.`);
}
