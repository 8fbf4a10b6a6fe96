import type { Command } from "commander";
import { type KnownReader, knownReaders, removeReader } from "../shared/client/reader/known-readers.ts";
import { filterWords } from "../shared/client/reader/reader-record.ts";
import { CommandFailure } from "./failure.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { type ConnectionOptions, connectNode, type NodeConnection } from "./node-connection.ts";
import { agoWords, countWords } from "./quantity-words.ts";
import { textTable } from "./text-table.ts";
import { withUserOptions } from "./user-options.ts";

type ReadersOptions = ConnectionOptions & { json?: boolean };

/** `cim readers`, `cim readers show <name>`, `cim readers rm <name>` */
export function register(program: Command): void {
  const readers = withUserOptions(withNodeOptions(program.command("readers")))
    .description(
      "The durable names that readers have on a node, and how far each has come; of a group, each partition. LOG and OUTBOX: events of each that match and came since what it saved; own events that were read at once are in the log again.",
    )
    .option("--json", "print one JSON document")
    .helpCommand(false)
    .action(async (options: ReadersOptions) => {
      await using node = await connectNode(options, "cim readers");
      const found = await knownReaders(node.nc, node.node);
      if (options.json) print([JSON.stringify({ node: node.node, readers: found.map(document) })]);
      else print(readerLines(node.node, found, Date.now()));
    });
  withUserOptions(withNodeOptions(readers.command("show <name>")))
    .summary("print a reader's checkpoint")
    .description(
      "Prints a reader's checkpoint, to be passed as `from` elsewhere; with --json all that is known.",
    )
    .option("--json", "print one JSON document")
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReadersOptions>();
      await using node = await connectNode(options, "cim readers show");
      const reader = await readerOf(node, name);
      if (options.json) print([JSON.stringify({ node: node.node, ...document(reader) })]);
      else if (reader.checkpoint !== undefined) print([reader.checkpoint]);
      else throw new CommandFailure(`${name} has no checkpoint: it begins with the first event there is`);
    });
  withUserOptions(withNodeOptions(readers.command("rm <name>")))
    .summary("forget a reader")
    .description(
      "Forgets a reader, or a group with all its partitions: under this name reading begins anew. Processes that read under it end with ReaderTaken.",
    )
    .action(async (name: string, _: unknown, command: Command) => {
      await using node = await connectNode(command.optsWithGlobals<ReadersOptions>(), "cim readers rm");
      if (!(await removeReader(node.nc, node.node, name))) await readerOf(node, name);
      print([`${name} is forgotten on ${node.node}`]);
    });
}

async function readerOf({ nc, node }: NodeConnection, name: string): Promise<KnownReader> {
  const all = await knownReaders(nc, node);
  const found = all.find((reader) => reader.name === name);
  if (found) return found;
  const names = all.length === 0 ? "none" : all.map((reader) => reader.name).join(", ");
  throw new CommandFailure(`there is no reader "${name}" on ${node}; it has ${names}`);
}

function readerLines(node: string, readers: readonly KnownReader[], nowMs: number): string[] {
  if (readers.length === 0) return [`no reader has a durable name on ${node}`];
  const rows = readers.map((reader) => [
    reader.name,
    filterWords(reader.filter),
    reader.position ?? "-",
    reader.ownSeq === undefined ? "-" : countWords(reader.ownSeq),
    lagWords(reader.lag.log),
    lagWords(reader.lag.outbox),
    agoWords(Math.max(0, nowMs - reader.savedAt.getTime()) / 1000),
  ]);
  return textTable([["NAME", "READS", "POSITION", "OWN", "LOG", "OUTBOX", "SAVED"], ...rows]);
}

const lagWords = (events: number | undefined): string => (events === undefined ? "?" : countWords(events));

function document(reader: KnownReader): object {
  const { name, filter, position, ownSeq, checkpoint, lag, savedAt } = reader;
  return {
    name,
    filter,
    position: position ?? null,
    ownSeq: ownSeq ?? null,
    lag: { log: lag.log ?? null, outbox: lag.outbox ?? null },
    savedAt,
    checkpoint: checkpoint ?? null,
  };
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
