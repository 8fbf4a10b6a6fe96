import { existsSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";

/**
 * Node's options for a daemon, as bin/launch.sh has them, measured by bench/footprint. None of them is a limit at which it
 * would end: they have garbage, and that of buffers, collected sooner. By itself V8 lets the heap grow to three or four
 * times what is alive before it looks; twice takes 25 to 40 MB off the peak of a catch-up, for 5 to 10 % more CPU per
 * event. Less than that costs too much: --heap-growing-percent=50 another 5 to 10 %, 20 a third, --optimize-for-size 60 %.
 */
export const DAEMON_NODE_OPTIONS: readonly string[] = [
  "--max-semi-space-size=2",
  "--heap-growing-percent=100",
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
