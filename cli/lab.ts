import type { Command } from "commander";
import { registerLabControl } from "./lab-control.ts";
import { registerLabUp } from "./lab-up.ts";

/** `cim lab …` */
export function register(program: Command): void {
  const lab = program
    .command("lab")
    .description("A whole fleet on this machine, as real processes, with links that can be broken.")
    .helpCommand(false);
  registerLabUp(lab);
  registerLabControl(lab);
}
