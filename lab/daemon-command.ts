import { existsSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";

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
  return [process.execPath, entry, "--config", configFile];
}

/** What a daemon gets of our environment: all but what would make every node the same one. */
export function daemonEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { CIM_NATS_URL: _url, CIM_HTTP: _http, ...rest } = env;
  return rest;
}
