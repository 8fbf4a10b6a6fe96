/** The parts of `docs/` that follow from declared data: `scripts/docs.ts` writes them, a unit test compares. */
import * as z from "zod";
import { isNotActedOnYet, NOT_ACTED_ON_YET } from "../shared/config/config-notes.ts";
import { configDocument } from "../shared/config/config-schema.ts";
import { defaultOf, lookUp, unwrap } from "../shared/config/described-key.ts";
import { VARIABLES } from "../shared/config/environment-variables.ts";
import { PAIRS } from "../shared/consistency/contract/mode-resolver-pairs.ts";
import { CONDITIONS, type ConditionDeclaration } from "../shared/observe/condition-table.ts";
import { METRICS, type MetricDeclaration } from "../shared/observe/metric-table.ts";

/** Every part by its name; in a document it stands between `<!-- begin <name> -->` and `<!-- end <name> -->`. */
export const GENERATED = {
  "configuration-keys": configurationKeys,
  "environment-variables": environmentVariables,
  conditions: conditionTable,
  metrics: metricTable,
  "contract-pairs": contractPairs,
} as const;

const LATER = " *Read and checked; this build does not act on it yet.*";

/** The documents that hold generated parts, relative to the checkout. */
export const GENERATED_DOCS = ["docs/configuration.md", "docs/contracts.md", "docs/operations.md"] as const;

/** The document with its generated parts written anew. @throws Error when a part's end is missing, or its name unknown */
export function refreshed(document: string): string {
  return document.replace(
    /<!-- begin (\S+) -->\n([\s\S]*?)(?:<!-- end (\S+) -->|$)/g,
    (_, name: string, _old: string, end: string | undefined) => {
      if (end !== name) throw new Error(`<!-- begin ${name} --> has no end`);
      if (!Object.hasOwn(GENERATED, name)) throw new Error(`there is no generated part ${name}`);
      return `<!-- begin ${name} -->\n${GENERATED[name as keyof typeof GENERATED]()}<!-- end ${name} -->`;
    },
  );
}

function configurationKeys(): string {
  const lines: string[] = [];
  const describe = (schema: z.core.$ZodType, path: string, keys: readonly string[]) => {
    const { description = "" } = z.globalRegistry.get(schema) ?? {};
    const inner = objectIn(schema);
    const many = manyIn(schema);
    if (inner && !many) {
      lines.push("", `### \`${path}\``, "", description + (isNotActedOnYet(path) ? LATER : ""), "");
    } else {
      const { write = "" } = lookUp(configDocument, keys);
      // Of a section it is said once, at its head.
      const later = NOT_ACTED_ON_YET.includes(path) ? LATER : "";
      lines.push(`- **\`${path}\`** (${defaultText(keys)}). ${description}${later} Write ${write}.`);
    }
    if (!inner) return;
    for (const [name, child] of Object.entries(inner.shape)) {
      const below = many ? `${path}${many.below}.${name}` : `${path}.${name}`;
      describe(child as z.core.$ZodType, below, [...keys, ...(many ? ["0"] : []), name]);
    }
  };
  // Plain keys first: after a heading of a section they would read as its own.
  const shape = Object.entries((configDocument as z.ZodObject).shape) as [string, z.core.$ZodType][];
  const isSection = (schema: z.core.$ZodType) =>
    objectIn(schema) !== undefined && manyIn(schema) === undefined;
  for (const [name, schema] of shape.filter(([, one]) => !isSection(one))) describe(schema, name, [name]);
  for (const [name, schema] of shape.filter(([, one]) => isSection(one))) describe(schema, name, [name]);
  return `${lines.join("\n").trim()}\n`;
}

function defaultText(keys: readonly string[]): string {
  const { schema } = lookUp(configDocument, keys);
  if (schema instanceof z.ZodOptional) return "may be left out";
  const value = defaultOf(configDocument, keys);
  return value === undefined ? "required" : `default \`${JSON.stringify(value)}\``;
}

function environmentVariables(): string {
  const rows = VARIABLES.map(({ name, path, write }) => [`\`${name}\``, `\`${path.join(".")}\``, write]);
  return table(["Variable", "Key", "Write"], rows);
}

function conditionTable(): string {
  const rows = Object.entries<ConditionDeclaration>(CONDITIONS).map(([code, condition]) => [
    `\`${code}\``,
    condition.severity + (condition.affectsReadiness ? ", not ready" : ""),
    condition.timeToVisibleMs === 0 ? "at once" : `${condition.timeToVisibleMs / 1000} s`,
    filled(condition.text),
    filled(condition.whatToDo),
  ]);
  return table(["Code", "Severity", "Shown after", "What it says", "What to do"], rows);
}

function metricTable(): string {
  const rows = Object.entries<MetricDeclaration>(METRICS).map(([name, metric]) => [
    `\`${name}\``,
    metric.kind,
    metric.labels.map((label) => `\`${label}\``).join(", "),
    metric.by.join(", "),
    metric.help,
  ]);
  return table(["Metric", "Kind", "Labels", "Shown by", "What it is"], rows);
}

function contractPairs(): string {
  const rows = PAIRS.map(({ mode, resolver, offered, why }) => [
    mode,
    resolver,
    offered ? "yes" : "not yet",
    why,
  ]);
  return table(["mode", "resolver", "offered", "what it means"], rows);
}

/** A text's blanks as they read without a detail. */
function filled(text: string): string {
  return text.replace(/\{\w+\|([^}]*)\}/g, "$1");
}

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(heading), line(heading.map(() => "---")), ...rows.map(line)].join("\n")}\n`;
}

/** What a list or a map of names holds many of, and how a path goes on below it. */
function manyIn(schema: z.core.$ZodType): { element: z.core.$ZodType; below: string } | undefined {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodArray) return { element: inner.element, below: "[]" };
  return inner instanceof z.ZodRecord ? { element: inner.valueType, below: ".<name>" } : undefined;
}

/** The object schema behind a key, or behind the elements of its list or map. */
function objectIn(schema: z.core.$ZodType): z.ZodObject | undefined {
  const inner = unwrap(manyIn(schema)?.element ?? schema);
  return inner instanceof z.ZodObject ? inner : undefined;
}
