import { readFileSync } from "node:fs";
import { configDocument } from "./config-schema.ts";
import { crossFieldFaults } from "./cross-field-faults.ts";
import { type Config, derive } from "./derived.ts";
import { blameVariable, type Environment, override } from "./environment.ts";
import { ConfigError, type Fault } from "./faults.ts";
import { jsonFault } from "./json-text.ts";
import { schemaFaults } from "./schema-faults.ts";

/** A usable configuration, or everything that is wrong with it. */
export type CheckedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly cause?: unknown };

/**
 * Reads a daemon's configuration from its JSON document and the `CIM_*` overrides.
 * Throws ConfigError, whose message is one line: the first fault, and how many more there are.
 */
export function loadConfig(path: string, env: Environment): Config {
  return unwrap(path, checkConfig(path, env));
}

/** The same for a document that is already parsed JSON. */
export function parseConfig(document: unknown, env: Environment = {}): Config {
  return unwrap("configuration", checkDocument(document, env));
}

/** Like `loadConfig`, but gives every fault instead of throwing the first. */
export function checkConfig(path: string, env: Environment): CheckedConfig {
  const read = readDocument(path);
  return read.ok ? checkDocument(read.document, env) : read;
}

/** A file's JSON, or why there is none. */
export type ReadDocument =
  | { readonly ok: true; readonly document: unknown }
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly cause?: unknown };

export function readDocument(path: string): ReadDocument {
  let text: string;
  try {
    text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (cause) {
    return { ok: false, faults: [unreadable(cause)], cause };
  }
  const fault = jsonFault(text);
  if (fault !== null) {
    const problem = `is not JSON at line ${fault.line}, column ${fault.column}: ${fault.problem}`;
    return { ok: false, faults: [{ path: "", problem, write: "one JSON object" }] };
  }
  return { ok: true, document: JSON.parse(text) };
}

/** Checks a document that is already parsed JSON. Never throws, whatever the document is. */
export function checkDocument(document: unknown, env: Environment = {}): CheckedConfig {
  const overridden = override(document, env);
  const parsed = configDocument.safeParse(overridden.document);
  const located = parsed.success ? [] : schemaFaults(overridden.document, parsed.error.issues);
  const crossed = crossFieldFaults(overridden.document).map((fault) => ({
    keys: fault.path.split(/[.[]/),
    fault,
  }));
  const faults = [...overridden.faults];
  const told = new Set<string>();
  for (const { keys, fault } of [...located, ...crossed]) {
    if (told.has(fault.path)) continue;
    told.add(fault.path);
    faults.push(blameVariable(fault, keys, overridden.applied, env));
  }
  return parsed.success && faults.length === 0
    ? { ok: true, config: derive(parsed.data) }
    : { ok: false, faults };
}

function unwrap(source: string, checked: CheckedConfig): Config {
  if (checked.ok) return checked.config;
  throw new ConfigError(source, checked.faults, { cause: checked.cause });
}

function unreadable(cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (code) {
    case "ENOENT":
      return {
        path: "",
        problem: "there is no such file",
        write: "the path of one that is there",
      };
    case "EISDIR":
      return { path: "", problem: "is a folder", write: "the path of a file" };
    case "EACCES":
      return { path: "", problem: "may not be read by this user", write: "a file that this user can read" };
    default:
      return {
        path: "",
        problem: `cannot be read (${String(code ?? cause)})`,
        write: "the path of a readable file",
      };
  }
}
