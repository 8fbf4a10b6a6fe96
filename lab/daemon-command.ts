import { existsSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";

/**
 * Node's options for a daemon, as bin/launch.sh has them: a tenth less resident memory, measured by bench/footprint.
 * None of them is a limit at which it would end: they have the garbage of buffers collected sooner. More of that kind
 * costs too much: --heap-growing-percent=20 takes 25 MB off the peak of a catch-up and a third of its speed,
 * --optimize-for-size 6 MB and 60 % more CPU per event.
 */
export const DAEMON_NODE_OPTIONS: readonly string[] = [
  "--max-semi-space-size=2",
  "--external-memory-accounted-in-global-limit",
];
/** One heap of the C library instead of one per thread, for the same reason. */
export const DAEMON_ENVIRONMENT = { MALLOC_ARENA_MAX: "1" } as const;

const programs = { hub: "coordinator", leaf: "agent" } as const;

/**
 * How to run a node's daemon: the sources in a checkout, the bundles beside ours in an installed package.
 * @throws LabError when they are not there
 */
export function daemonCommand(role: keyof typeof programs, configFile: string): [string, ...string[]] {
  const here = import.meta.dirname;
  const entry = import.meta.filename.endsWith(".ts")
    ? join(here, "..", programs[role], "main.ts")
    : join(here, `cim-${programs[role]}.js`);
  if (!existsSync(entry)) throw new LabError(`${entry} is missing: this installation of cim is not whole`, 2);
  return [process.execPath, ...DAEMON_NODE_OPTIONS, entry, "--config", configFile];
}

/** What a daemon gets of our environment: all but what would make every node the same one. */
export function daemonEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { CIM_NATS_URL: _url, CIM_HTTP: _http, ...rest } = env;
  return { ...DAEMON_ENVIRONMENT, ...rest };
}
