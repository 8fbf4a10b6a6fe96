import { Command, CommanderError } from "commander";
import manifest from "../package.json" with { type: "json" };
import { type CommandEntry, commandTable } from "./command-table.ts";
import { describeFailure, exitCodeOf } from "./failure.ts";

/** The root command, with nothing registered yet. */
export function createProgram(): Command {
  return new Command("cim")
    .description("Event streams that survive the edge: write on any node, and know who has what.")
    .version(manifest.version, "-V, --version", "the version of cim")
    .helpOption("-h, --help", "help; also after any command")
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(oneLine(text)) });
}

/** Commander's own complaints in our form: its suggestion follows on the same line. */
function oneLine(text: string): string {
  return `${text
    .replace(/^error: /, "cim: ")
    .trim()
    .replaceAll("\n", " ")}\n`;
}

/** Only the command that is asked for is loaded; the others are their line of help. */
async function programFor(args: readonly string[], table: readonly CommandEntry[]): Promise<Command> {
  const program = createProgram();
  const wanted = args.find((arg) => !arg.startsWith("-"));
  for (const entry of table) {
    if (entry.name === wanted) (await entry.load()).register(program, table);
    else program.command(entry.name).description(entry.summary);
  }
  return program;
}

/**
 * Runs one command line (without node and script) and gives its exit code: 0 done, 1 the thing asked about is not as
 * it should be, 2 wrong usage or configuration. An action that ends with another code sets `process.exitCode`.
 */
export async function run(
  args: readonly string[],
  table: readonly CommandEntry[] = commandTable,
): Promise<number> {
  try {
    const program = await programFor(args, table);
    if (args.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync([...args], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has already written its line (help, version, or what was wrong with the usage).
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`cim: ${describeFailure(error, process.env)}\n`);
    return exitCodeOf(error);
  }
}
