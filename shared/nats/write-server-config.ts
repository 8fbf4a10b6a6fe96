import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../config/make-folder.ts";
import { errorText } from "../protocol/error-text.ts";
import { PROGRAM_USERS } from "../protocol/names.ts";
import { ensureSeedFile } from "./nkeys.ts";
import { readPasswordHash } from "./password-hash.ts";
import {
  LINK_REMOTE_FILE,
  passwordFile,
  renderLinkRemote,
  renderPassword,
  renderServerConfig,
  type ServerConfigInput,
} from "./server-config.ts";

/** What is needed to write a node's server configuration: as `ServerConfigInput`, and where the seeds are. */
export interface WritableServerConfig extends ServerConfigInput {
  readonly dataDir: string;
  readonly nats: ServerConfigInput["nats"] & {
    readonly linkSeedFile: string;
    readonly agentSeedFile: string;
    readonly sysSeedFile: string;
  };
}

export const SERVER_CONFIG_FILE = "nats-server.conf";

/** The folder of a server's configuration can't be written to. The message is one line that names it. */
export class ServerConfigUnwritable extends Error {
  override readonly name = "ServerConfigUnwritable";
  readonly exitCode = 2;
}

/**
 * The configuration as text, with the daemon's keys in it; makes the seeds at first need.
 * @throws {SeedFileError}
 */
export async function serverConfigText(config: WritableServerConfig): Promise<string> {
  const agent = await ensureSeedFile(config.nats.agentSeedFile);
  const sys = await ensureSeedFile(config.nats.sysSeedFile);
  return renderServerConfig(config, { agent: agent.publicKey, sys: sys.publicKey });
}

/**
 * Writes a node's server configuration and beside it, on a leaf, the link's secret, and the hashes of programs' passwords
 * (all 0600), each at once: a server that reloads never reads half a file. Returns the path for `nats-server -c`.
 * @param folder default: `dataDir`
 * @throws {SeedFileError}, {PasswordHashError} and {ServerConfigUnwritable}
 */
export async function writeServerConfig(
  config: WritableServerConfig,
  folder = config.dataDir,
): Promise<string> {
  await makeFolder(folder).catch((cause: unknown) => unwritable(folder, cause));
  if (config.role === "leaf" && config.nats.hubs.length > 0) {
    const { seed } = await ensureSeedFile(config.nats.linkSeedFile);
    await replaceFile(join(folder, LINK_REMOTE_FILE), renderLinkRemote(seed));
  }
  const withPassword = (config.nats.users ?? []).filter((user) => user.passwordHashFile !== undefined);
  for (const { name, passwordHashFile } of withPassword) {
    const hash = await readPasswordHash(passwordHashFile as string);
    await replaceFile(join(folder, passwordFile(name)), renderPassword(hash));
  }
  const path = join(folder, SERVER_CONFIG_FILE);
  await replaceFile(path, await serverConfigText(config));
  // A user that is no more leaves no hash behind; gone only now, as the configuration before may still name the file.
  for (const name of PROGRAM_USERS) {
    if (withPassword.some((user) => user.name === name)) continue;
    await rm(join(folder, passwordFile(name)), { force: true });
  }
  return path;
}

/**
 * Has the server dial these hubs from its next reload on, whatever stands in its configuration.
 * @param folder of the server's configuration
 * @throws {SeedFileError} and {ServerConfigUnwritable}
 */
export async function writeHubs(
  linkSeedFile: string,
  hubs: readonly string[],
  folder: string,
): Promise<void> {
  const { seed } = await ensureSeedFile(linkSeedFile);
  await replaceFile(join(folder, LINK_REMOTE_FILE), renderLinkRemote(seed, hubs));
}

async function replaceFile(path: string, text: string): Promise<void> {
  const part = `${path}.${randomUUID()}.part`;
  try {
    await writeFile(part, text, { mode: 0o600 });
    await rename(part, path);
  } catch (cause) {
    unwritable(path, cause);
  } finally {
    await rm(part, { force: true });
  }
}

function unwritable(path: string, cause: unknown): never {
  const why = errorText(cause);
  throw new ServerConfigUnwritable(`${path} cannot be written (${why}); give dataDir a folder of this user`, {
    cause,
  });
}
