import { withValue } from "./document-value.ts";
import { FOREIGN_VARIABLES, VARIABLES, type Variable } from "./environment-variables.ts";
import { type Fault, shown } from "./faults.ts";
import { nearestName } from "./nearest-name.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A document with the `CIM_*` overrides put in, and which variable each came from. */
export interface Overridden {
  readonly document: unknown;
  readonly applied: readonly Variable[];
  readonly faults: readonly Fault[];
}

/** Puts the overrides into a document. Values are only read here; whether they fit is for the schema to say. */
export function override(document: unknown, env: Environment): Overridden {
  const faults: Fault[] = typos(env);
  const applied: Variable[] = [];
  let result = document;
  for (const variable of VARIABLES) {
    const text = env[variable.name];
    if (text === undefined) continue;
    const read = variable.read(text.trim());
    if (read.ok) {
      result = withValue(result, variable.path, read.value);
      applied.push(variable);
    } else {
      faults.push({
        path: variable.name,
        problem: `holds ${shown(text)}, ${read.problem}`,
        write: variable.write,
      });
    }
  }
  return { document: result, applied, faults };
}

/** A fault about a value that came from a variable names the variable, and what that held. */
export function blameVariable(
  fault: Fault,
  keys: readonly PropertyKey[],
  applied: readonly Variable[],
  env: Environment,
): Fault {
  const variable = applied.find(({ path }) => path.every((part, index) => keys[index] === part));
  if (variable === undefined) return fault;
  const inner = keys.length > variable.path.length ? ` (${fault.path})` : "";
  return {
    path: variable.name,
    problem: `holds ${shown(env[variable.name])}: ${fault.path === "" ? "the value" : fault.path} ${fault.problem}`,
    write: inner === "" ? variable.write : fault.write,
  };
}

/** Variables that look like a mistyped one: ignoring them would run with something else than was meant. */
function typos(env: Environment): Fault[] {
  const known = VARIABLES.map(({ name }) => name);
  const faults: Fault[] = [];
  for (const name of Object.keys(env)) {
    if (!/^CIM_/i.test(name) || known.includes(name) || FOREIGN_VARIABLES.has(name)) continue;
    const near = nearestName(
      name.replace(/^CIM_/i, ""),
      known.map((full) => full.slice("CIM_".length)),
    );
    if (near === null) continue;
    faults.push({ path: shown(name).slice(1, -1), problem: "is no variable of cim", write: `CIM_${near}` });
  }
  return faults;
}
