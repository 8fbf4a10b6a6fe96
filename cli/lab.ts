import type { Command } from "commander";

/** `cim lab …`: see `lab/`. */
export function register(program: Command): void {
  program.command("lab").description("a whole fleet on this machine, with links that can be broken");
}
