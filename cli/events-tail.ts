import { styleText } from "node:util";
import type { Command } from "commander";
import { cloudEvent } from "../shared/protocol/cloud-event.ts";
import { eventFilters } from "./event-filter.ts";
import { EventLines } from "./event-line.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { followLog } from "./follow-log.ts";
import { Interruption } from "./interruption.ts";
import { parseLogPlace } from "./log-place.ts";
import { connectNode, type UserOptions } from "./node-connection.ts";
import { wholeNumber } from "./number-option.ts";

type TailOptions = UserOptions & { from: string; json?: boolean; limit?: string };

export function registerEventsTail(events: Command): void {
  withNodeOptions(events.command("tail [filter]"))
    .summary("show events as they come into a node's log or copy")
    .description(
      "Shows events as they come into a node's log or copy, one line each, until Ctrl-C. A filter is a domain, or more of a subject: person, person.ada, person.*.PersonCreated.",
    )
    .option(
      "--from <place>",
      "where to begin: a number of the log, a time as 10:15 or 15m (ago), start or now",
      "now",
    )
    .option("--limit <n>", "end after so many events")
    .option("--json", "print each as one line of JSON, a CloudEvent")
    .option("--seed-file <file>", "the user's nkey seed, where the server asks for one")
    .action(tail);
}

async function tail(filter: string | undefined, options: TailOptions): Promise<void> {
  const filters = eventFilters(filter, "events tail");
  const from = parseLogPlace(options.from, "--from", Date.now());
  const limit =
    options.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.limit, "--limit");
  using interruption = new Interruption();
  await using node = await connectNode(options, "cim events tail");
  const lines = new EventLines(process.stdout.isTTY ? process.stdout.columns : undefined);
  const say = (line: string) => {
    process.stderr.write(`${styleText("dim", line, { stream: process.stderr })}\n`);
  };
  let shown = 0;
  for await (const event of followLog({ node, filters, from, signal: interruption.signal, onNotice: say })) {
    const text = options.json ? JSON.stringify(cloudEvent(event)) : lines.line(event, Date.now());
    await printLine(text);
    if (++shown >= limit) return;
  }
}

/** Waits while the reader of our stdout is slower than the log. */
export async function printLine(text: string): Promise<void> {
  if (process.stdout.write(`${text}\n`)) return;
  await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
}
