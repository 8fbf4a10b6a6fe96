import type { Command } from "commander";
import { type StateReport, stateReportAnswer } from "../shared/protocol/state-control.ts";
import { printable } from "./event-words.ts";
import { counted, countWords } from "./quantity-words.ts";
import { StateDaemon, type StateDaemonOptions, withStateDaemonOptions } from "./state-daemon.ts";
import { textTable } from "./text-table.ts";

export function registerStateStatus(state: Command): void {
  withStateDaemonOptions(state.command("status"))
    .summary("how far a node's states are, and which events are in none")
    .description(
      "Prints how far a node's states have come in its log or copy, what is being folded anew, and which events were set aside because they can't be folded. Exits 1 when nothing is folded.",
    )
    .option("--json", "print one JSON document")
    .action(async (options: StateDaemonOptions) => {
      await using daemon = await StateDaemon.connect(options, "cim state status");
      const report = await daemon.ask("state", {}, stateReportAnswer);
      if (options.json) process.stdout.write(`${JSON.stringify({ node: daemon.node, ...report })}\n`);
      else process.stdout.write(`${reportLines(daemon.node, report).join("\n")}\n`);
      if (report.stopped !== null) process.exitCode = 1;
    });
}

/** What `cim state status` prints. */
export function reportLines(node: string, report: StateReport): string[] {
  const { stopped, log, events, waiting, poisoned, missingBefore, rebuild } = report;
  const lines = [`${node}: ${counted(events, "event")} in its states, up to ${log ?? "nothing"} in the log`];
  if (stopped !== null) lines.push(`nothing is folded: ${stopped}`);
  if (waiting > 0) lines.push(`${counted(waiting, "message")} of the log not folded yet`);
  if (missingBefore > 0) lines.push(`what happened before ${missingBefore} in the log may be missing`);
  if (rebuild) {
    const domains = rebuild.domains.includes("*") ? "all domains" : rebuild.domains.join(", ");
    lines.push(
      `${domains} folded anew: passed ${countWords(rebuild.done)} of ${counted(rebuild.of, "message")}`,
    );
  }
  if (poisoned.count === 0) return lines;
  lines.push(`${counted(poisoned.count, "event")} set aside:`);
  const rows = poisoned.events.map(({ log, subject, reason }) => [
    log,
    printable(subject),
    printable(reason),
  ]);
  return [...lines, ...textTable([["LOG", "SUBJECT", "WHY"], ...rows], "  ")];
}
