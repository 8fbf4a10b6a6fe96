import { Argument, Command } from "commander";
import type { CommandEntry } from "./command-table.ts";
import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import { completionPlaces, type Place } from "./completion-places.ts";
import { zshCompletion } from "./completion-zsh.ts";

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `cim completion <shell>` */
export function register(program: Command, table: readonly CommandEntry[]): void {
  program
    .command("completion")
    .description("Prints a shell's completion of these commands; for bash: source <(cim completion bash)")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SHELLS)))
    .action(async (shell: keyof typeof SHELLS) => {
      process.stdout.write(SHELLS[shell](await allPlaces(program, table)));
    });
}

/** The running program knows in full only the command that was asked for. */
async function allPlaces(program: Command, table: readonly CommandEntry[]): Promise<Place[]> {
  const full = new Command(program.name()).helpCommand(false);
  for (const option of program.options) full.addOption(option);
  for (const entry of table) {
    (await entry.load()).register(full, table);
    full.commands.find((command) => command.name() === entry.name)?.summary(entry.summary);
  }
  return completionPlaces(full);
}
