import { findProcesses, isRunning, type ProcessIdentity } from "./process-identity.ts";
import type { LabState } from "./state.ts";

export type Leftover = ProcessIdentity & {
  /** For people: `leaf1's nats-server`. */
  readonly label: string;
};

/** The files that name a node's processes on their command lines. */
export type NodeFiles = {
  readonly name: string;
  readonly serverConfig: string;
  readonly config: string;
};

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
  const remembered = state.bootId === boot ? state.nodes : [];
  for (const node of remembered) {
    const processes = { [`${node.name}'s nats-server`]: node.nats, [`${node.name}'s daemon`]: node.daemon };
    for (const [label, identity] of Object.entries(processes)) {
      if (identity && (await isRunning(identity))) found.set(identity.pid, { ...identity, label });
    }
  }
  for (const identity of await findProcesses((command) => nameByFiles(command, files) !== undefined)) {
    const label = nameByFiles(identity.command, files);
    if (label && !found.has(identity.pid)) found.set(identity.pid, { ...identity, label });
  }
  return [...found.values()];
}

/** Only what a lab would itself have started: an editor that has the file open is none of ours. */
export function nameByFiles(command: readonly string[], files: readonly NodeFiles[]): string | undefined {
  const [program = "", flag, file] = [command[0], command.at(-2), command.at(-1)];
  for (const { name, serverConfig, config } of files) {
    if (flag === "-c" && file === serverConfig && program.endsWith("nats-server")) {
      return `${name}'s nats-server`;
    }
    const isDaemon = command.some((word) => /(agent|coordinator)(\/main\.ts|\.js)$/.test(word));
    if (flag === "--config" && file === config && isDaemon) return `${name}'s daemon`;
  }
  return undefined;
}
