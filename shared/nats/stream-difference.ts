import type { StreamDefinition } from "./streams.ts";

/** A stream's configuration as JetStream reports it. */
export type StreamConfig = Readonly<Record<string, unknown>>;

/** What is to be done about a stream that exists. */
export interface StreamDifference {
  /** Keys that differ and can be changed. A lower limit too: with discard new it deletes nothing that is stored. */
  readonly changeable: readonly string[];
  /** Why it can't be used at all: it is another stream of that name, or would have to be made anew. */
  readonly unusable: readonly string[];
}

/** Keys that say what a stream is for: when they differ it is somebody else's, and changing it would mix two histories. */
const IDENTITY: readonly string[] = ["subjects", "subject_transform", "storage", "retention"];
/** JetStream sets these once and for all. */
const ONLY_EVER_TRUE: readonly string[] = ["deny_delete", "deny_purge"];
/** Not asked for by any definition; a stream that has one is fed or emptied by somebody else. */
const FOREIGN: readonly string[] = [
  "mirror",
  "sources",
  "sealed",
  "allow_msg_ttl",
  "allow_msg_counter",
  "no_ack",
];

/** Compares what is with what should be. Pure. */
export function compareStream(wanted: StreamDefinition, found: StreamConfig): StreamDifference {
  const changeable: string[] = [];
  const unusable: string[] = [];
  for (const key of new Set([...IDENTITY, ...Object.keys(wanted)])) {
    const want = wanted[key as keyof StreamDefinition];
    const have = found[key];
    if (key === "metadata" ? includes(have, want) : sameValue(want, have)) continue;
    if (IDENTITY.includes(key)) unusable.push(`${key} is ${shown(have)} and not ${shown(want)}`);
    else if (ONLY_EVER_TRUE.includes(key) && have === true) unusable.push(`${key} is set and stays set`);
    else changeable.push(key);
  }
  for (const key of FOREIGN) if (isSet(found[key])) unusable.push(`${key} is ${shown(found[key])}`);
  return { changeable, unusable };
}

/** The server and others may have entries of their own. */
function includes(have: unknown, want: unknown): boolean {
  const found = (have ?? {}) as Record<string, unknown>;
  return Object.entries((want ?? {}) as Record<string, unknown>).every(
    ([key, value]) => found[key] === value,
  );
}

function sameValue(want: unknown, have: unknown): boolean {
  // The API leaves out what is false, zero or empty.
  if (!isSet(want) && !isSet(have)) return true;
  return JSON.stringify(want) === JSON.stringify(have);
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function shown(value: unknown): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}
