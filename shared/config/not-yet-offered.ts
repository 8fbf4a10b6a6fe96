import { MODES, type Mode } from "../consistency/contract/contract.ts";
import { OFFERED_MODES, PAIRS } from "../consistency/contract/mode-resolver-pairs.ts";

/** Why a value is refused though it is known, and what to write instead where that is more than the usual. */
export interface NotYetOffered {
  readonly why?: string;
  readonly write?: string;
}

/**
 * Values that are known, and refused by name: they belong to the design but not to this build.
 * Taking a weaker one instead would break a promise that somebody asked for.
 */
export function notYetOffered(keys: readonly PropertyKey[], value: unknown): NotYetOffered | undefined {
  if (keys.length === 1 && keys[0] === "role") return value === "standby" ? {} : undefined;
  return isModeKey(keys) && isModeOfLater(value) ? PAIRS.find(({ mode }) => mode === value) : undefined;
}

const isModeKey = ([section, ...rest]: readonly PropertyKey[]): boolean =>
  rest.at(-1) === "mode" &&
  ((section === "sync" && rest.length === 1) || (section === "contracts" && rest.length === 2));

const isModeOfLater = (value: unknown): boolean =>
  MODES.includes(value as Mode) && !OFFERED_MODES.includes(value as Mode);

/** Names that other documents use for something this one calls otherwise. */
const OTHER_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  role: { master: '"hub"', cluster: '"hub"', primary: '"hub"', edge: '"leaf"', agent: '"leaf"' },
  logLevel: { warning: '"warn"', fatal: '"error"', verbose: '"debug"' },
};

/** What to write for a value that goes by another name here. */
export function otherName(path: string, value: unknown): string | undefined {
  const names = OTHER_NAMES[path];
  return typeof value === "string" && names !== undefined && Object.hasOwn(names, value)
    ? names[value]
    : undefined;
}
