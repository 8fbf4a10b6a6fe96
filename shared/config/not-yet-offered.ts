/**
 * Values that are known, and refused by name: they belong to the design but not to this build.
 * Taking a weaker one instead would break a promise that somebody asked for.
 */
const NOT_YET_OFFERED: Readonly<Record<string, readonly string[]>> = {
  role: ["standby"],
  "sync.mode": ["causal", "strong"],
  "sync.conflictResolution": ["vector-clock", "crdt"],
};

/** Names that other documents use for something this one calls otherwise. */
const OTHER_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  role: { master: '"hub"', cluster: '"hub"', primary: '"hub"', edge: '"leaf"', agent: '"leaf"' },
  logLevel: { warning: '"warn"', fatal: '"error"', verbose: '"debug"' },
};

/** True when the value at this path is one that a later build is to offer. */
export function isNotYetOffered(path: string, value: unknown): boolean {
  return typeof value === "string" && (NOT_YET_OFFERED[path]?.includes(value) ?? false);
}

/** What to write for a value that goes by another name here. */
export function otherName(path: string, value: unknown): string | undefined {
  const names = OTHER_NAMES[path];
  return typeof value === "string" && names !== undefined && Object.hasOwn(names, value)
    ? names[value]
    : undefined;
}
