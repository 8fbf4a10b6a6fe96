import { readFile } from "node:fs/promises";
import { type Config, type ConfigDocument, ConfigError, checkDocument } from "../shared/config/index.ts";
import { makeFolder } from "../shared/config/make-folder.ts";
import { ensureSeedFile } from "../shared/nats/nkeys.ts";
import { writeServerConfig } from "../shared/nats/write-server-config.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";
import { configDocument, type DeclaredContracts, nodePaths } from "./node-plan.ts";
import { type NodeState, writeDurably } from "./state.ts";

/** How a test or bench wants nodes other than the lab would have them. */
export type NodeChanges = {
  /** The daemon's configuration, before it is checked and written. */
  readonly configure?: (document: ConfigDocument) => ConfigDocument;
  /** The generated text of the nats-server's configuration. */
  readonly configureServer?: (text: string, node: NodeState) => string;
};

/** @throws LabError when it can't be made, or not written to */
export async function makeLabFolder(path: string): Promise<void> {
  try {
    await makeFolder(path);
  } catch (cause) {
    throw new LabError(`cannot make the folder ${path} (${errorText(cause)}): choose another --dir`, 2, {
      cause,
    });
  }
}

/**
 * Writes what every node's daemon and nats-server read; what is missing of their keys is made.
 * Everything is checked before anything is written. @throws ConfigError, LabError: one line
 */
export async function writeFleetFiles(
  labDir: string,
  fleet: readonly NodeState[],
  contracts: DeclaredContracts,
  changes: NodeChanges,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const keys = new Map<string, string>();
  for (const node of fleet) {
    const { dir, data } = nodePaths(labDir, node.name);
    await makeLabFolder(dir);
    await makeLabFolder(data);
    if (node.role === "leaf") keys.set(node.name, (await ensureSeedFile(`${data}/link.nk`)).publicKey);
  }
  const written = fleet.map((node) => {
    const document = configDocument(node, fleet, keys, labDir, contracts);
    const changed = changes.configure?.(document) ?? document;
    return { node, document: changed, config: nodeConfig(changed, nodePaths(labDir, node.name).config, env) };
  });
  for (const { node, document, config } of written) {
    const paths = nodePaths(labDir, node.name);
    await writeDurably(paths.config, `${JSON.stringify(document, null, 2)}\n`);
    const file = await writeServerConfig(config, paths.dir);
    if (!changes.configureServer) continue;
    await writeDurably(file, changes.configureServer(await readFile(file, "utf8"), node));
  }
}

/** Checked with the environment that the daemon will have, so that a bad `CIM_*` is told before anything starts. */
function nodeConfig(document: ConfigDocument, file: string, env: NodeJS.ProcessEnv): Config {
  const checked = checkDocument(document, env);
  if (checked.ok) return checked.config;
  throw new ConfigError(file, checked.faults);
}
