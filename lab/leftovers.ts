import { findProcesses, isRunning, type ProcessIdentity } from "./process-identity.ts";
import type { LabState } from "./state.ts";

export type Leftover = ProcessIdentity & LeftoverName;

type LeftoverName = {
  readonly part: "nats" | "daemon";
  /** For people: `leaf1's nats-server`. */
  readonly label: string;
};

/** The files that name a node's processes on their command lines. */
export type NodeFiles = { readonly name: string; readonly serverConfig: string; readonly config: string };

/**
 * What a lab that crashed has left running in this folder: the processes of its state that are still the same (pid,
 * start time, command line, boot), and those it had started but not yet written down, known by the configuration
 * files of this folder on their command lines.
 */
export async function findLeftovers(
  state: LabState,
  boot: string,
  files: readonly NodeFiles[],
): Promise<Leftover[]> {
  const found = new Map<number, Leftover>();
  for (const node of state.bootId === boot ? state.nodes : []) {
    for (const part of ["nats", "daemon"] as const) {
      const identity = node[part];
      if (identity && (await isRunning(identity))) {
        found.set(identity.pid, { ...identity, ...nameOf(node.name, part) });
      }
    }
  }
  for (const identity of await findProcesses((command) => nameByFiles(command, files) !== undefined)) {
    const name = nameByFiles(identity.command, files);
    if (name && !found.has(identity.pid)) found.set(identity.pid, { ...identity, ...name });
  }
  return [...found.values()];
}

/** Only what a lab would itself have started: an editor that has the file open is none of ours. */
export function nameByFiles(
  command: readonly string[],
  files: readonly NodeFiles[],
): LeftoverName | undefined {
  const [program = "", flag, file] = [command[0], command.at(-2), command.at(-1)];
  for (const { name, serverConfig, config } of files) {
    if (flag === "-c" && file === serverConfig && program.endsWith("nats-server"))
      return nameOf(name, "nats");
    const isDaemon = command.some((word) => /(agent|coordinator)(\/main\.ts|\.js)$/.test(word));
    if (flag === "--config" && file === config && isDaemon) return nameOf(name, "daemon");
  }
  return undefined;
}

function nameOf(node: string, part: LeftoverName["part"]): LeftoverName {
  return { part, label: `${node}'s ${part === "nats" ? "nats-server" : "daemon"}` };
}
