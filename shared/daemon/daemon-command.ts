import { parseArgs } from "node:util";
import {
  type CommandResult,
  type Config,
  checkConfigCommand,
  checkContractsCommand,
  loadConfig,
  printSchema,
} from "../config/index.ts";
import { ensureSeedFile } from "../nats/nkeys.ts";
import { serverConfigText, writeServerConfig } from "../nats/write-server-config.ts";
import { VERSION } from "../observe/build-info.ts";
import { errorText } from "../protocol/error-text.ts";

/** A daemon that runs until it is disposed. */
export interface Daemon extends AsyncDisposable {
  /** SIGHUP: takes over what can be changed while running. */
  reload(config: Config): Promise<void>;
}

export interface DaemonProgram {
  /** `cim-agent`, `cim-coordinator`. */
  readonly name: string;
  readonly role: Config["role"];
  readonly start: (config: Config) => Promise<Daemon>;
}

/** After SIGTERM a daemon has so long to end in order; what it leaves undone, its next start does. */
const STOP_TIMEOUT_MS = 10_000;

const FILE_VERBS = new Set([
  "check-config",
  "check-contracts",
  "print-nats-config",
  "write-nats-config",
  "print-link-key",
]);

/** Errors with an exit code of their own are one clear line. */
interface Refusal extends Error {
  readonly exitCode?: number;
}

/** What nobody foresaw is shown with its stack; an error with a name of its own says all in one line. */
const UNNAMED: ReadonlySet<string> = new Set(["Error", "TypeError", "RangeError", "ReferenceError"]);

/** Runs a daemon's command line. The only place of a daemon that handles signals and exit codes. */
export async function runDaemon(program: DaemonProgram, argv: readonly string[]): Promise<void> {
  try {
    const code = await command(program, argv);
    if (code !== undefined) process.exitCode = code;
  } catch (error) {
    fail(program, error);
  }
}

async function command(program: DaemonProgram, argv: readonly string[]): Promise<number | undefined> {
  const usage = `usage: ${program.name} --config FILE | check-config FILE | check-contracts FILE [--json] | print-schema | print-nats-config FILE | write-nats-config FILE | print-link-key FILE | --version`;
  const { values, positionals } = parse(argv, usage);
  if (values.version) return say(VERSION);
  if (values.help) return say(usage);
  const [verb, file, ...more] = positionals;
  if (more.length > 0) throw usageError(`one FILE is enough; ${usage}`);
  if (verb === "print-schema") return say(printSchema());
  const path = verb === undefined ? values.config : file;
  if (verb !== undefined && !FILE_VERBS.has(verb)) throw usageError(`"${verb}" is no command; ${usage}`);
  if (path === undefined) throw usageError(verb === undefined ? usage : `${verb} needs a FILE; ${usage}`);
  switch (verb) {
    case "check-config":
      return tell(checkConfigCommand(path, process.env));
    case "check-contracts":
      return tell(await checkContractsCommand(path, process.env, { json: values.json }), values.json);
    case "print-nats-config":
      return say(await serverConfigText(loadConfig(path, process.env)));
    case "write-nats-config":
      return say(await writeNatsConfig(loadConfig(path, process.env)));
    case "print-link-key":
      return say(await linkKey(loadConfig(path, process.env), path));
    default:
      return await run(program, path);
  }
}

async function writeNatsConfig(config: Config): Promise<string> {
  return await writeServerConfig(config, config.nats.configFolder);
}

/** The public key under which a leaf links: what its hub lists in `leaves`. Its seed is made at first need. */
async function linkKey(config: Config, path: string): Promise<string> {
  if (config.role === "hub") {
    throw usageError(`${path}: role is "hub"; a link key is a leaf's: run cim-agent print-link-key there`);
  }
  return (await ensureSeedFile(config.nats.linkSeedFile)).publicKey;
}

async function run(program: DaemonProgram, path: string): Promise<undefined> {
  const config = loadConfig(path, process.env);
  if (config.role !== program.role) {
    const other = program.role === "hub" ? "cim-agent" : "cim-coordinator";
    throw usageError(
      `${path}: role is "${config.role}"; ${program.name} runs a ${program.role}, ${other} the other`,
    );
  }
  // A signal during the start ends it too: the start is bounded by its own time-outs.
  let stopping = false;
  let daemon: Daemon | undefined;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    const timer = setTimeout(() => process.exit(1), STOP_TIMEOUT_MS);
    timer.unref();
    if (!daemon) process.exit(0);
    daemon[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (error: unknown) => fail(program, error),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  let reloading: Promise<void> = Promise.resolve();
  process.on("SIGHUP", () => {
    const running = daemon;
    if (!running || stopping) return;
    reloading = reloading
      .then(() => reload(running, path))
      .catch((error: unknown) => {
        process.stderr.write(`${program.name}: not reloaded: ${errorText(error)}\n`);
      });
  });
  daemon = await program.start(config);
  return undefined;
}

async function reload(daemon: Daemon, path: string): Promise<void> {
  await daemon.reload(loadConfig(path, process.env));
}

function parse(argv: readonly string[], usage: string) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        config: { type: "string" },
        help: { type: "boolean", short: "h" },
        json: { type: "boolean" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    throw usageError(`${errorText(error)}; ${usage}`);
  }
}

function usageError(message: string): Refusal {
  return Object.assign(new Error(message), { exitCode: 2 });
}

/** Faults are told on stderr; a document that was asked for is on stdout whatever it says. */
function tell({ text, exitCode }: CommandResult, isDocument = false): number {
  (exitCode === 0 || isDocument ? process.stdout : process.stderr).write(text);
  return exitCode;
}

function say(text: string): number {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  return 0;
}

function fail(program: DaemonProgram, error: unknown): void {
  const code = (error as Refusal).exitCode;
  const unforeseen = code === undefined && error instanceof Error && UNNAMED.has(error.name);
  const text = unforeseen ? (error.stack ?? error.message) : errorText(error);
  process.stderr.write(`${program.name}: ${text}\n`);
  process.exit(code ?? 1);
}
