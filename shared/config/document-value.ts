/** Reads and sets values of a document that has not been checked yet: nothing about its shape is taken for granted. */

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path, undefined when anything on the way is missing or of another kind. */
export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** A copy with the value set; what is in the way and no object stays, so that the check can name it. */
export function withValue(document: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (document !== undefined && !isRecord(document)) return document;
  const inner = document !== undefined && Object.hasOwn(document, first) ? document[first] : undefined;
  return { ...document, [first]: withValue(inner, rest, value) };
}
