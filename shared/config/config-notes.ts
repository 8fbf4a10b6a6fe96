import { configDocument } from "./config-schema.ts";
import { contractNotes } from "./contract-notes.ts";
import type { Config } from "./derived.ts";
import { allKeyPaths, defaultOf } from "./described-key.ts";
import { valueAt } from "./document-value.ts";

/** Keys, with all below them, that this build reads and checks, and nothing more. */
export const NOT_ACTED_ON_YET: readonly string[] = ["health", "audit"];

/** Whether a key is one of those. `path`: as `discovery.methods`. */
export function isNotActedOnYet(path: string): boolean {
  return NOT_ACTED_ON_YET.some((key) => path === key || path.startsWith(`${key}.`));
}

/**
 * What a valid configuration asks for that this build only reads, or that weakens a promise.
 * For `check-config` and for the log at start: nothing that was asked for is dropped in silence.
 */
export function configNotes(config: Config): string[] {
  const notes = allKeyPaths(configDocument)
    .filter((path) => isNotActedOnYet(path) && isAskedFor(config, path))
    .map((path) => `${path} is read and checked, but this build does not act on it yet`);
  if (config.nats.syncInterval !== "always") {
    notes.push(
      `nats.syncInterval is ${config.nats.syncInterval}: a power cut can take back events acknowledged within that time`,
    );
  }
  if (!config.nats.anonymousApp && config.nats.users.length === 0) {
    notes.push("nats.users is empty and nats.anonymousApp is false: no program can connect");
  }
  return [...notes, ...contractNotes(config)];
}

function isAskedFor(config: Config, path: string): boolean {
  const keys = path.split(".");
  const usual = defaultOf(configDocument, keys);
  return usual !== undefined && JSON.stringify(valueAt(config, keys)) !== JSON.stringify(usual);
}
