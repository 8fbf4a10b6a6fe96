import { styleText } from "node:util";
import type { Command } from "commander";
import { MAX_ID_LENGTH } from "../shared/protocol/identity.ts";
import { causationTree, type TreeLine, treePrefix } from "./causation-tree.ts";
import { OriginColours, printable, SHORT_ID, shortId, timeWords } from "./event-words.ts";
import { CommandFailure, usage } from "./failure.ts";
import { type FoundCorrelation, findCorrelation } from "./find-correlation.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { logState, seqAt, timeAt } from "./find-in-log.ts";
import { Interruption } from "./interruption.ts";
import { parseLogPlace } from "./log-place.ts";
import { type ConnectionOptions, connectNode } from "./node-connection.ts";
import { printLine } from "./print-line.ts";
import { Progress } from "./progress.ts";
import { counted, countWords } from "./quantity-words.ts";
import { textTable } from "./text-table.ts";
import { withUserOptions } from "./user-options.ts";

type TraceOptions = ConnectionOptions & { from?: string; json?: boolean };

/** Without --from: some seconds of looking at the most. */
const USUAL_MESSAGES = 200_000;

export function registerEventsTrace(events: Command): void {
  withUserOptions(withNodeOptions(events.command("trace <id>")))
    .summary("show a chain of causation: what led to an event, and what it led to")
    .description(
      `Shows a chain of causation as a tree, by the correlation or by the id of an event in it; the end of an id, as cim events tail shows it, is enough. Times are those of the origins' clocks. Looks through the newest ${countWords(USUAL_MESSAGES)} messages of a node's log or copy, or back to --from.`,
    )
    .option(
      "--from <place>",
      "how far back to look: a number of the log, a time as 10:15 or 2h (ago), or start",
    )
    .option("--json", "print one JSON document")
    .action(trace);
}

async function trace(written: string, options: TraceOptions): Promise<void> {
  const nowMs = Date.now();
  if (written.trim() === "" || written.length > MAX_ID_LENGTH) {
    throw usage("events trace: write the id of an event or a correlation, or its last 6 characters or more");
  }
  const from = options.from === undefined ? undefined : parseLogPlace(options.from, "--from", nowMs);
  using interruption = new Interruption();
  await using node = await connectNode(options, "cim events trace");
  const state = await logState(node.nc, node.node);
  const firstSeq = from
    ? await seqAt(node.nc, state, from)
    : Math.max(state.first_seq, state.last_seq - USUAL_MESSAGES + 1);
  let found: FoundCorrelation | undefined;
  {
    using progress = new Progress("looked through", undefined);
    found = await findCorrelation({
      node,
      written,
      firstSeq,
      lastSeq: state.last_seq,
      signal: interruption.signal,
      onMessages: (count) => {
        progress.done += count;
      },
    });
  }
  if (interruption.exitCode !== undefined) {
    process.exitCode = interruption.exitCode;
    return;
  }
  const all = firstSeq <= state.first_seq;
  if (!found || found.events.length === 0) {
    const since = await timeAt(node.nc, firstSeq);
    const looked = all
      ? `the whole log on ${node.node}`
      : `the log on ${node.node} back to ${since === undefined ? "--from" : timeWords(since, nowMs)}; --from start looks through all of it`;
    throw new CommandFailure(`nothing of "${printable(written)}" is in ${looked}`);
  }
  const sinceMs = await timeAt(node.nc, found.lookedFromSeq);
  const lines = causationTree(found.events);
  if (options.json) {
    await printLine(JSON.stringify(document(node.node, found, lines, sinceMs), undefined, 2));
    return;
  }
  for (const line of treeLines(found, lines, nowMs)) await printLine(line);
  const back =
    found.lookedFromSeq <= state.first_seq
      ? "the whole log"
      : `back to ${sinceMs === undefined ? "?" : timeWords(sinceMs, nowMs)}`;
  const lost = lines.filter(({ event }) => !event).length;
  const notes = [
    `looked through ${back} on ${node.node}, ${counted(found.looked, "message")}`,
    ...(lost > 0 ? [`${counted(lost, "cause")} not found there`] : []),
    ...(found.truncated ? ["older events of it are left out"] : []),
  ];
  process.stderr.write(`${styleText("dim", notes.join("; "), { stream: process.stderr })}\n`);
}

function treeLines(
  { correlationId, events }: FoundCorrelation,
  lines: readonly TreeLine[],
  nowMs: number,
): string[] {
  const colours = new OriginColours();
  const rows = lines.map((line) => {
    const { event, id, msAfterCause, circular } = line;
    const what = treePrefix(line) + (event ? printable(event.type) : "(not found)");
    if (!event) return [what, "", "", "", shortId(id), ""];
    const { domain, aggregate = "-", origin, appendedUs } = event;
    const when = msAfterCause === undefined ? timeWords(appendedUs / 1000, nowMs) : afterWords(msAfterCause);
    return [
      what,
      printable(domain),
      printable(aggregate),
      origin,
      shortId(id).padEnd(SHORT_ID),
      when + (circular ? ", caused by its own effects" : ""),
    ];
  });
  const table = textTable(rows, "", (text, row, column) => {
    if (column === 3 && text !== "") return colours.paint(text, text);
    if (lines[row]?.event === undefined) return styleText("yellow", text);
    return column > 3 ? styleText("dim", text) : text;
  });
  return [`${counted(events.length, "event")} of correlation ${printable(correlationId)}`, ...table];
}

/** Clocks of two nodes differ: an effect may be older than its cause. */
function afterWords(ms: number): string {
  const digits = Math.abs(ms) < 10 ? 1 : 0;
  return `${ms < 0 ? "-" : "+"}${countWords(Number(Math.abs(ms).toFixed(digits)))} ms`;
}

function document(
  node: string,
  found: FoundCorrelation,
  lines: readonly TreeLine[],
  sinceMs: number | undefined,
) {
  const { correlationId, events, looked, truncated } = found;
  return {
    correlationId,
    node,
    count: events.length,
    truncated,
    looked: { messages: looked, since: sinceMs === undefined ? null : new Date(sinceMs).toISOString() },
    notFound: lines.filter(({ event }) => !event).map(({ id }) => id),
    events: lines.flatMap(({ event, depth, msAfterCause, circular }) => {
      if (!event) return [];
      const {
        id,
        causationId,
        correlationId: correlation,
        domain,
        aggregate = null,
        type,
        origin,
        index = null,
        appendedUs,
      } = event;
      const time = new Date(appendedUs / 1000).toISOString();
      const afterMs = msAfterCause ?? null;
      return [
        {
          id,
          causationId,
          correlationId: correlation,
          type,
          domain,
          aggregate,
          origin,
          index,
          time,
          depth,
          msAfterCause: afterMs,
          circular,
        },
      ];
    }),
  };
}
