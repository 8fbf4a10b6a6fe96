import type * as z from "zod";
import { configDocument } from "./config-schema.ts";
import { allKeyPaths, keysOf, lookUp } from "./described-key.ts";
import { valueAt } from "./document-value.ts";
import { type Fault, pathText, shown } from "./faults.ts";
import { nearestName } from "./nearest-name.ts";
import { notYetOffered, otherName } from "./not-yet-offered.ts";

/** A fault together with the keys that lead to it, so that an environment variable can be blamed for it. */
export interface LocatedFault {
  readonly keys: readonly PropertyKey[];
  readonly fault: Fault;
}

/** More than these are not listed one by one: a document of the wrong kind altogether would fill the screen. */
const MOST_UNKNOWN_KEYS = 50;

/** What the schema says about a document, as faults. */
export function schemaFaults(document: unknown, issues: readonly z.core.$ZodIssue[]): LocatedFault[] {
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.slice(0, MOST_UNKNOWN_KEYS).map((name) => unknownKey(issue.path, name));
    }
    return [issue.code === "invalid_key" ? wrongName(issue) : wrongValue(document, issue)];
  });
}

/** A name that somebody chose, as a domain's. */
function wrongName({ path, issues }: z.core.$ZodIssueInvalidKey): LocatedFault {
  const { write = "another name" } = lookUp(configDocument, path.slice(0, -1));
  const problem = `is named ${shown(path.at(-1))}, which ${issues[0]?.message ?? "cannot be"}`;
  return { keys: path, fault: { path: pathText(path), problem, write } };
}

function wrongValue(document: unknown, issue: z.core.$ZodIssue): LocatedFault {
  const path = pathText(issue.path);
  const value = valueAt(document, issue.path);
  const { write = "a value that fits the schema (print-schema)" } = lookUp(configDocument, issue.path);
  const located = (problem: string, instead: string): LocatedFault => ({
    keys: issue.path,
    fault: { path, problem, write: instead },
  });
  if (value === undefined) return located("is missing", write);
  const later = notYetOffered(issue.path, value);
  if (later) {
    const why = later.why === undefined ? "" : ` (${later.why})`;
    return located(`is ${shown(value)}, not yet offered by this build${why}`, later.write ?? write);
  }
  const successor = otherName(path, value);
  if (successor !== undefined)
    return located(`is ${shown(value)}, which is called otherwise here`, successor);
  return located(`is ${shown(value)}, ${reason(issue)}`, write);
}

function reason(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_value":
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "invalid_type":
      return /^must /.test(issue.message) ? issue.message : `must be ${withArticle(issue.expected)}`;
    case "too_small":
      return `must be ${issue.inclusive === true ? "at least" : "more than"} ${amount(issue.origin, issue.minimum)}`;
    case "too_big":
      return `must be at most ${amount(issue.origin, issue.maximum)}`;
    default:
      return issue.message;
  }
}

const withArticle = (kind: string): string => {
  if (kind === "null") return kind;
  if (kind === "int") return "a whole number";
  if (kind === "array") return "a list";
  if (kind === "record") return "an object";
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
};

function amount(origin: string, limit: number | bigint): string {
  if (origin === "array") return `${limit} entries`;
  if (origin === "string") return `${limit} characters`;
  return String(limit);
}

function unknownKey(path: readonly PropertyKey[], name: string): LocatedFault {
  const keys = [...path, name];
  const known = keysOf(lookUp(configDocument, path).schema);
  const near = nearestName(name, known);
  const elsewhere = allKeyPaths(configDocument).filter((other) => other.split(".").at(-1) === name);
  const write =
    near !== null
      ? pathText([...path, near])
      : elsewhere.length === 1 && elsewhere[0] !== undefined
        ? elsewhere[0]
        : `one of ${known.join(", ")}`;
  return { keys, fault: { path: pathText(keys), problem: "is not a known key", write } };
}
