import type { Command } from "commander";

/** What each command file of this folder exports. */
export type CommandModule = {
  /** Adds the command (with its sub-commands, options and actions) to the program; `table` is this one, for completion. */
  register(program: Command, table: readonly CommandEntry[]): void;
};

export type CommandEntry = {
  readonly name: string;
  /** The line in `cim --help`. */
  readonly summary: string;
  /** Imported only when asked for: `cim status` doesn't load the lab. */
  readonly load: () => Promise<CommandModule>;
};

/** Every command of `cim`, in the order of `cim --help`. A new one is a file here and a line in this table. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: "lab",
    summary: "a whole fleet on this machine, with links that can be broken",
    load: () => import("./lab.ts"),
  },
  {
    name: "status",
    summary: "the fleet at a glance: who leads, each node, what waits, what is wrong",
    load: () => import("./status.ts"),
  },
  {
    name: "verify",
    summary: "the proof that nodes hold what the log holds, or where they do not",
    load: () => import("./verify.ts"),
  },
  {
    name: "nodes",
    summary: "each node's health with its evidence, link, lag, watermark",
    load: () => import("./nodes.ts"),
  },
  {
    name: "events",
    summary: "write, watch, trace and replay events, on any node",
    load: () => import("./events.ts"),
  },
  {
    name: "state",
    summary: "what aggregates' events come to on a node, and how far it has folded them",
    load: () => import("./state.ts"),
  },
  {
    name: "conflicts",
    summary: "concurrent writes that met: what was lost, why, and how to have it back",
    load: () => import("./conflicts.ts"),
  },
  {
    name: "route",
    summary: "which leaf a command would go to, why, and why not the others",
    load: () => import("./route.ts"),
  },
  {
    name: "command",
    summary: "send commands; a coordinator chooses the leaf",
    load: () => import("./command.ts"),
  },
  {
    name: "readers",
    summary: "how far readers with a durable name have come on a node",
    load: () => import("./readers.ts"),
  },
  {
    name: "check-contracts",
    summary: "whether domains may replicate as a file says, before any daemon has it",
    load: () => import("./check-contracts.ts"),
  },
  {
    name: "completion",
    summary: "a shell's completion of these commands",
    load: () => import("./completion.ts"),
  },
];
