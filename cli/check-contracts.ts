import type { Command } from "commander";
import { checkContractsCommand } from "../shared/config/index.ts";

/** `cim check-contracts` */
export function register(program: Command): void {
  program
    .command("check-contracts")
    .argument("<file>", "a daemon's configuration, or what stands at its key contracts")
    .description(
      "Whether domains may replicate as a file says. Exits 2 when they may not, with a line for each fault.",
    )
    .option("--json", "print one JSON document: the contracts complete, or the faults")
    .action(async (file: string, options: { json?: boolean }) => {
      const { text, exitCode } = await checkContractsCommand(file, process.env, options);
      (exitCode === 0 || options.json ? process.stdout : process.stderr).write(text);
      process.exitCode = exitCode;
    });
}
