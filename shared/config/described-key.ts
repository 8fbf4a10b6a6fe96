import * as z from "zod";

/** What is documented about a key of the configuration. */
export interface KeyAbout {
  /** What it is, with its unit and what the default is good for. */
  readonly what: string;
  /** What to write when the value is wrong, ready to follow the word "write". */
  readonly write: string;
}

const writeTexts = z.registry<{ write: string }>();

/** Documents a key: the description goes into the printed schema, `write` into the fault about a wrong value. */
export function key<S extends z.ZodType>(schema: S, about: KeyAbout): S {
  const described = schema.describe(about.what) as S;
  writeTexts.add(described, { write: about.write });
  return described;
}

/** The schema at a path of `root`, with the `write` text nearest to it; undefined where the path leaves the schema. */
export function lookUp(
  root: z.core.$ZodType,
  path: readonly PropertyKey[],
): { schema: z.core.$ZodType | undefined; write: string | undefined } {
  let write = writeTexts.get(root)?.write;
  let schema: z.core.$ZodType | undefined = root;
  for (const part of path) {
    schema = step(schema, part);
    if (schema === undefined) break;
    write = writeTexts.get(schema)?.write ?? write;
  }
  return { schema, write };
}

/** The default that a key has when it is left out; undefined when it has none. */
export function defaultOf(root: z.core.$ZodType, path: readonly PropertyKey[]): unknown {
  const { schema } = lookUp(root, path);
  return schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
}

/** The keys of the object schema behind defaults, nulls and pipes; none when it is no object. */
export function keysOf(schema: z.core.$ZodType | undefined): readonly string[] {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** Every documented key of an object schema, sections opened: `["node", "nats", "nats.url", …]`. */
export function allKeyPaths(schema: z.core.$ZodType, prefix = ""): readonly string[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape).flatMap(([name, child]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    return [path, ...allKeyPaths(child as z.core.$ZodType, path)];
  });
}

function step(schema: z.core.$ZodType | undefined, part: PropertyKey): z.core.$ZodType | undefined {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    const name = String(part);
    return Object.hasOwn(inner.shape, name) ? (inner.shape[name] as z.core.$ZodType) : undefined;
  }
  if (inner instanceof z.ZodArray) return inner.element;
  if (inner instanceof z.ZodRecord) return inner.valueType;
  return undefined;
}

/** The schema inside defaults, nulls and optionals. */
export function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let inner = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodOptional
  ) {
    inner = inner.unwrap();
  }
  return inner;
}
