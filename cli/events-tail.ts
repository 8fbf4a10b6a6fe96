import { styleText } from "node:util";
import type { Command } from "commander";
import { cloudEvent, type ReadEvent } from "../shared/protocol/cloud-event.ts";
import { identityOf } from "../shared/protocol/identity.ts";
import { isNodeName } from "../shared/protocol/names.ts";
import { eventFilters } from "./event-filter.ts";
import { EventLines } from "./event-line.ts";
import { isMeant } from "./event-words.ts";
import { usage } from "./failure.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { followLog } from "./follow-log.ts";
import { Interruption } from "./interruption.ts";
import { parseLogPlace } from "./log-place.ts";
import { type ConnectionOptions, connectNode } from "./node-connection.ts";
import { wholeNumber } from "./number-option.ts";
import { printLine } from "./print-line.ts";
import { withUserOptions } from "./user-options.ts";

type TailOptions = ConnectionOptions & {
  from: string;
  correlation?: string;
  origin?: string;
  json?: boolean;
  cloudevents?: boolean;
  limit?: string;
};

export function registerEventsTail(events: Command): void {
  withUserOptions(withNodeOptions(events.command("tail [filter]")))
    .summary("show events as they come into a node's log or copy")
    .description(
      "Shows events as they come into a node's log or copy, one line each, until Ctrl-C: when and where it was written, domain, aggregate, type, the ends of its id and of its correlation (- when it is its own), data. A filter is a domain, or more of a subject: person, person.ada, person.*.PersonCreated.",
    )
    .option(
      "--from <place>",
      "where to begin: a number of the log, a time as 10:15 or 15m (ago), start or now",
      "now",
    )
    .option("--correlation <id>", "only this chain of causation: its correlation, or the end of it as shown")
    .option("--origin <node>", "only what was written on this node")
    .option("--limit <n>", "end after so many events")
    .option("--json", "print each as one line of JSON, a CloudEvent")
    .option("--cloudevents", "the same as --json")
    .action(tail);
}

async function tail(filter: string | undefined, options: TailOptions): Promise<void> {
  const filters = eventFilters(filter, "events tail");
  const from = parseLogPlace(options.from, "--from", Date.now());
  const limit =
    options.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.limit, "--limit");
  const wanted = wantedOf(options);
  const json = options.json || options.cloudevents;
  using interruption = new Interruption();
  await using node = await connectNode(options, "cim events tail");
  const { stdout, stderr } = process;
  const lines = new EventLines(stdout.isTTY ? stdout.columns : undefined);
  if (stdout.isTTY && !json) {
    stdout.on("resize", () => {
      lines.columns = stdout.columns;
    });
    await printLine(lines.heading());
  }
  const say = (line: string) => {
    stderr.write(`${styleText("dim", line, { stream: stderr })}\n`);
  };
  let shown = 0;
  for await (const event of followLog({ node, filters, from, signal: interruption.signal, onNotice: say })) {
    if (interruption.came) return;
    if (!wanted(event)) continue;
    await printLine(json ? JSON.stringify(cloudEvent(event)) : lines.line(event, Date.now()));
    if (++shown >= limit) return;
  }
}

/** What no subject tells. */
function wantedOf({ correlation, origin }: TailOptions): (event: ReadEvent) => boolean {
  if (origin !== undefined && !isNodeName(origin)) {
    throw usage(`--origin: "${origin}" is no node's name; write one as leaf1`);
  }
  if (correlation?.trim() === "") throw usage("--correlation: it is empty; write the id of a chain");
  return (event) =>
    (origin === undefined || event.origin === origin) &&
    (correlation === undefined ||
      isMeant(identityOf(event.message.headerText, event.id).correlationId, correlation));
}
