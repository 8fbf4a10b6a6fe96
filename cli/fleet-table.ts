import { styleText } from "node:util";
import type { NodeView } from "./coordinator-api.ts";
import { agoWords, countWords, durationWords } from "./quantity-words.ts";
import { textTable } from "./text-table.ts";

const HEALTH_COLOURS = { up: "green", unreachable: "yellow", down: "red" } as const;

const HEADING = ["NODE", "HEALTH", "LINK", "IN THE LOG", "LAG", "COPY", "RUNWAY", "LAST SEEN"];

/** One line per node, under a heading. */
export function fleetTable(nodes: readonly NodeView[], nowMs: number): string[] {
  const rows = nodes.map((node) => [
    node.name,
    // A doubt is shown as one.
    node.health.suspect ? `${node.health.state}?` : node.health.state,
    linkWords(node, nowMs),
    watermarkWords(node),
    ...[lagWords(node.origin?.lagEvents, node.origin?.lagSeconds), copyWords(node), runwayWords(node)].map(
      (words) => asLastHeard(node, words),
    ),
    seenWords(node),
  ]);
  return textTable([HEADING, ...rows], "", (text, row, column) => {
    if (row === 0) return styleText("dim", text);
    const node = nodes[row - 1] as NodeView;
    return column === 1 ? styleText(HEALTH_COLOURS[node.health.state], text) : text;
  });
}

/** What a node said of itself is old when it is silent. */
function asLastHeard({ role, health }: NodeView, words: string): string {
  return health.state === "up" || role === "hub" || words === "-" ? words : `${words}?`;
}

export function linkWords({ role, link }: NodeView, nowMs: number): string {
  if (role === "hub") return "-";
  if (link.up) return link.rttMs === null ? "up" : `up, ${Number(link.rttMs.toPrecision(2))} ms`;
  return link.since === null ? "down" : `down ${durationWords((nowMs - Date.parse(link.since)) / 1000)}`;
}

/** Up to which of its own events the log has them. */
export function watermarkWords({ origin }: NodeView): string {
  if (!origin) return "-";
  const of =
    origin.outboxLast === null || origin.outboxLast === origin.logged
      ? ""
      : ` of ${countWords(origin.outboxLast)}`;
  return countWords(origin.logged) + of;
}

export function lagWords(events: number | null | undefined, seconds: number | null | undefined): string {
  if (events === null || events === undefined) return "not known";
  if (events === 0) return "none";
  return seconds ? `${countWords(events)}, ${durationWords(seconds)}` : countWords(events);
}

export function copyWords({ role, copy }: NodeView): string {
  if (role === "hub") return "the log";
  if (!copy) return "-";
  return copy.lagEvents === 0 ? "current" : `${lagWords(copy.lagEvents, copy.lagSeconds)} behind`;
}

/** Beyond that a rate seen over minutes says nothing. */
const LONG_RUNWAY_S = 365 * 86_400;

export function runwayWords({ heartbeat }: NodeView): string {
  const seconds = heartbeat?.disk.runwayS ?? null;
  if (seconds === null) return "-";
  return seconds > LONG_RUNWAY_S ? "> 1 year" : durationWords(seconds);
}

export function seenWords({ silentForMs }: NodeView): string {
  return silentForMs === null ? "never" : agoWords(silentForMs / 1000);
}
