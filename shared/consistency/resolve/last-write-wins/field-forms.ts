import { byKey, setOwn } from "../json-value.ts";
import type { Version, VersionTable } from "../version.ts";
import { type Field, newField } from "./field.ts";

// What becomes of a field: the value that programs read, its JSON, and what is left of it when it is compacted.

/** undefined: nothing is there. */
export function fieldValue({ over, object, children }: Field): unknown {
  if (!object) return over?.value ?? undefined;
  const value: Record<string, unknown> = {};
  for (const [key, child] of [...(children ?? [])].sort(byKey)) {
    const inner = fieldValue(child);
    if (inner !== undefined) setOwn(value, key, inner);
  }
  return value;
}

/** `o`: made an object by, `w`: replaced by, with the value, `c`: what is below, by name. */
export interface FieldJson {
  readonly o?: number;
  readonly w?: readonly [number, unknown];
  readonly c?: readonly (readonly [string, FieldJson])[];
}

export function encodeField({ over, object, children }: Field, table: VersionTable): FieldJson {
  return {
    ...(object && { o: table.placeOf(object) }),
    ...(over && { w: [table.placeOf(over.by), over.value] as const }),
    ...(children &&
      children.size > 0 && {
        c: [...children].sort(byKey).map(([key, child]) => [key, encodeField(child, table)] as const),
      }),
  };
}

export function decodeField({ o, w, c }: FieldJson, version: (place: unknown) => Version): Field {
  const field = newField();
  if (o !== undefined) field.object = version(o);
  if (w !== undefined) field.over = { by: version(w[0]), value: w[1] };
  if (c) field.children = new Map(c.map(([key, child]) => [key, decodeField(child, version)]));
  if (field.object) field.children ??= new Map();
  return field;
}

/**
 * Forgets deletes, and what else only keeps out older writes, from before a time: nothing so old comes any more. That the
 * aggregate itself was deleted stays, as it is what a program is told.
 * @param lanes to which those of all that is left are added
 */
export function compactField(field: Field, beforeMs: number, lanes: Set<string>, isRoot = true): void {
  const { over, object, children } = field;
  if (over && over.value === null && over.by.stamp.ms < beforeMs && (object || !isRoot))
    field.over = undefined;
  if (field.over) lanes.add(field.over.by.dot.lane);
  if (object) lanes.add(object.dot.lane);
  if (!children) return;
  for (const [key, child] of children) {
    compactField(child, beforeMs, lanes, false);
    if (!child.over && !child.object) children.delete(key);
  }
}
