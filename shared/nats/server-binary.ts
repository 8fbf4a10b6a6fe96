import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { errorText } from "../protocol/error-text.ts";

/**
 * The oldest nats-server that does what the log relies on (atomic batches whose
 * expectations are judged at commit). Scripts read this line by its form.
 */
export const MINIMUM_NATS_SERVER = "2.15.2";

const VERSION_TIMEOUT_MS = 10_000;
const HOW_TO_GET =
  `install it with "go install github.com/nats-io/nats-server/v2@v${MINIMUM_NATS_SERVER}", ` +
  "or set CIM_NATS_SERVER to the path of one";

/** No usable nats-server. The message is one line that says what to do; callers exit 2. */
export class ServerBinaryError extends Error {
  override readonly name = "ServerBinaryError";
}

export interface ServerBinary {
  readonly path: string;
  /** As `nats-server --version` says it, without the `v`. */
  readonly version: string;
}

export interface ServerBinarySearch {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Whose `.cim/bin` is looked in last; default: the package this file belongs to, then the working folder. */
  readonly projectDirs?: readonly string[];
}

/**
 * The first nats-server that is new enough of: `CIM_NATS_SERVER`, `PATH`, `GOBIN`, `GOPATH/bin`,
 * `~/go/bin`, the project's `.cim/bin`. One named by `CIM_NATS_SERVER` is taken or refused, never passed over.
 * @throws {ServerBinaryError}
 */
export async function findServerBinary(search: ServerBinarySearch = {}): Promise<ServerBinary> {
  const env = search.env ?? process.env;
  const named = env.CIM_NATS_SERVER;
  if (named) {
    if (!(await isExecutable(named))) {
      throw new ServerBinaryError(
        `CIM_NATS_SERVER names ${named}, which is not an executable file: ${HOW_TO_GET}`,
      );
    }
    const version = await versionOf(named);
    if (isAtLeast(version, MINIMUM_NATS_SERVER)) return { path: named, version };
    throw tooOld(named, version);
  }
  let old: ServerBinary | undefined;
  for (const path of await candidates(env, search.projectDirs)) {
    if (!(await isExecutable(path))) continue;
    const version = await versionOf(path);
    if (isAtLeast(version, MINIMUM_NATS_SERVER)) return { path, version };
    old ??= { path, version };
  }
  if (old) throw tooOld(old.path, old.version);
  throw new ServerBinaryError(
    `nats-server not found (looked in PATH, GOBIN, GOPATH/bin, ~/go/bin and .cim/bin): ${HOW_TO_GET}`,
  );
}

/** Compares dotted versions; a pre-release (`2.15.2-RC.1`) counts as older than its release. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [have, preRelease] = split(version);
  const [want] = split(minimum);
  for (let i = 0; i < 3; i++) {
    const difference = (have[i] ?? 0) - (want[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return !preRelease;
}

function split(version: string): [number[], boolean] {
  const [numbers = "", preRelease] = version.replace(/^v/, "").split("-", 2);
  return [numbers.split(".").map(Number), preRelease !== undefined];
}

async function candidates(
  env: Readonly<Record<string, string | undefined>>,
  projectDirs: readonly string[] | undefined,
): Promise<string[]> {
  const folders = [...(env.PATH ?? "").split(delimiter)];
  if (env.GOBIN) folders.push(env.GOBIN);
  for (const folder of (env.GOPATH ?? "").split(delimiter)) if (folder) folders.push(join(folder, "bin"));
  folders.push(join(env.HOME ?? homedir(), "go", "bin"));
  const projects = projectDirs ?? [await packageDir(import.meta.dirname), process.cwd()];
  for (const folder of projects) folders.push(join(folder, ".cim", "bin"));
  return [...new Set(folders.filter((folder) => folder !== ""))].map((folder) => join(folder, "nats-server"));
}

/** The nearest folder above with a package.json: the same in a checkout and for a bundle in `dist`. */
async function packageDir(from: string): Promise<string> {
  for (let folder = from; ; folder = dirname(folder)) {
    if (await exists(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return from;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function versionOf(path: string): Promise<string> {
  let said: string;
  try {
    const { stdout, stderr } = await promisify(execFile)(path, ["--version"], {
      timeout: VERSION_TIMEOUT_MS,
    });
    said = stdout + stderr;
  } catch (cause) {
    throw new ServerBinaryError(`${path} --version failed (${reasonOf(cause)}): ${HOW_TO_GET}`, { cause });
  }
  const version = /nats-server: v?(\d+\.\d+\.\d+\S*)/.exec(said)?.[1];
  if (version) return version;
  throw new ServerBinaryError(`${path} does not say it is a nats-server when asked --version: ${HOW_TO_GET}`);
}

function reasonOf(cause: unknown): string {
  return errorText(cause).split("\n", 1)[0] ?? "";
}

function tooOld(path: string, version: string): ServerBinaryError {
  return new ServerBinaryError(
    `${path} is nats-server ${version}, older than ${MINIMUM_NATS_SERVER} which is needed: ${HOW_TO_GET}`,
  );
}
