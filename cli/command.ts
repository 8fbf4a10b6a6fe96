import type { Command } from "commander";
import { registerCommandSend } from "./command-send.ts";

/** `cim command …` */
export function register(program: Command): void {
  const command = program
    .command("command")
    .description("Sends commands; a coordinator chooses the leaf.")
    .helpCommand(false);
  registerCommandSend(command);
}
