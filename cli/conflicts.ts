import { type Command, Option } from "commander";
import type { JournalledConflict } from "../coordinator/conflicts/conflict-record.ts";
import { conflictLines, conflictScreen } from "./conflict-lines.ts";
import { readConflict, readConflicts } from "./coordinator-api.ts";
import { usage } from "./failure.ts";
import { type CoordinatorOptions, findCoordinator, withCoordinatorOptions } from "./find-fleet.ts";
import { readData } from "./json-data.ts";
import { wholeNumber } from "./number-option.ts";
import { type Choice, type SettleOptions, settle } from "./settle-conflict.ts";
import { withUserOptions } from "./user-options.ts";

type ListOptions = CoordinatorOptions & {
  domain?: string;
  aggregate?: string;
  open?: boolean;
  limit?: string;
  json?: boolean;
};
type ResolveOptions = SettleOptions & { data?: string; take?: string };

/** `cim conflicts …` */
export function register(program: Command): void {
  const conflicts = program
    .command("conflicts")
    .description("Concurrent writes that met: what stands, what was lost and why; and how to have it back.")
    .helpCommand(false);
  withCoordinatorOptions(conflicts.command("list"))
    .summary("the newest conflicts")
    .description(
      "The newest conflicts first. An id with ? may have been none: a writer did not say what it had seen.",
    )
    .option("--domain <domain>", "only of this domain")
    .option("--aggregate <aggregate>", "only of this aggregate of the domain")
    .option("--open", "of these, only those that nothing was done about")
    .option("--limit <n>", "at most so many (default: 100)")
    .option("--json", "print one JSON document")
    .action(list);
  withCoordinatorOptions(conflicts.command("show <id>"))
    .summary("one conflict: both versions, and why it went so")
    .description("One conflict: what was written where and when, what stands and why, what was done since.")
    .option("--json", "print one JSON document")
    .action(async (id: string, options: CoordinatorOptions & { json?: boolean }) => {
      const conflict = await readConflict(await findCoordinator(options), id);
      print(options.json ? [JSON.stringify(conflict)] : conflictScreen(conflict, Date.now()));
    });
  withSettleOptions(conflicts.command("resolve <id>"))
    .summary("write a value of your choice in the place of both")
    .description(
      "Writes a value in the place of what conflicted, as an event that has seen both versions: it stands on every node.",
    )
    .option("--data <json>", "the value for that place; - reads it from stdin, null removes it")
    .addOption(
      new Option("--take <version>", "winner, loser, or the end of one's event id").conflicts("data"),
    )
    .action(async (id: string, options: ResolveOptions) => {
      if (options.data === undefined && options.take === undefined)
        throw usage("what to write in its place: add --data <json>, or --take winner (or loser)");
      const choice: Choice =
        options.take === undefined
          ? { how: "resolved", value: await readData(options.data) }
          : { how: "resolved", take: options.take };
      await settleAndTell(id, choice, options);
    });
  withSettleOptions(conflicts.command("reinstate <id>"))
    .summary("have the version back that was lost")
    .description(
      "Writes the version again that was lost, as an event that has seen both: it stands on every node.",
    )
    .action(async (id: string, options: SettleOptions) => {
      await settleAndTell(id, { how: "reinstated", take: "loser" }, options);
    });
}

function withSettleOptions(command: Command): Command {
  return withUserOptions(withCoordinatorOptions(command))
    .option("--node <node>", "the node of a lab to write on (default: its hub)")
    .option("--server <url>", "the nats-server to write on, as nats://127.0.0.1:4222 (or CIM_NATS_URL)")
    .option("--json", "print one JSON document");
}

async function list(options: ListOptions): Promise<void> {
  const { domain, aggregate, open, limit } = options;
  if (aggregate !== undefined && domain === undefined)
    throw usage("--aggregate: aggregates are of a domain: write --domain too");
  const asked = {
    ...(domain !== undefined && { domain }),
    ...(aggregate !== undefined && { aggregate }),
    ...(limit !== undefined && { limit: String(wholeNumber(limit, "--limit")) }),
  };
  const { noted, conflicts: all } = await readConflicts(await findCoordinator(options), asked);
  if (!noted)
    process.stderr.write("cim: the hub keeps no states (state.enabled), and notes no conflicts without\n");
  const conflicts = open ? all.filter(({ resolution }) => resolution === null) : all;
  print(options.json ? [JSON.stringify({ noted, conflicts })] : conflictLines(conflicts, Date.now()));
}

async function settleAndTell(id: string, choice: Choice, options: SettleOptions): Promise<void> {
  const conflict: JournalledConflict = await readConflict(await findCoordinator(options), id);
  const { node, event, seq } = await settle(conflict, choice, options);
  const words = `${node}: ${id} is ${choice.how} by event ${event}`;
  print([options.json ? JSON.stringify({ conflict: id, how: choice.how, node, event, seq }) : words]);
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
