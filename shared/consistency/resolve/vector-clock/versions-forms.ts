import { byKey, sameJson, setOwn } from "../json-value.ts";
import type { Siblings, StateView } from "../resolver.ts";
import { isLater, newestFirst, refOfWrite, type Version, type VersionTable, type Write } from "../version.ts";
import { isNothing, newVersionsField, type VersionsField } from "./versions-field.ts";

/**
 * A domain's own rule for values that were written concurrently.
 * @param siblings newest first; a deleted one is null
 * @returns the value; undefined: it has no rule for these, and they stay siblings
 */
export type MergePolicy = (siblings: Siblings) => unknown;

export function viewOf(root: VersionsField, policy: MergePolicy | undefined): StateView {
  const siblings: Siblings[] = [];
  const shown = showField(root, [], siblings, policy);
  return { value: shown?.value ?? null, deleted: shown !== undefined && shown.value === null, siblings };
}

/** What a place shows: its only version, what the policy makes of several, else the newest. */
function showField(
  field: VersionsField,
  path: readonly string[],
  siblings: Siblings[],
  policy: MergePolicy | undefined,
): Write | undefined {
  const inner: Siblings[] = [];
  const object = showObject(field, path, inner, policy);
  const versions = object ? [...field.writes, object] : [...field.writes];
  versions.sort(newestFirst);
  const newest = versions[0];
  if (!newest) return undefined;
  if (object === newest) siblings.push(...inner);
  if (versions.every(({ value }) => sameJson(value, newest.value))) return newest;
  const here: Siblings = { path, versions: versions.map(refOfWrite) };
  const merged = policy?.(here);
  if (merged !== undefined) return { by: newest.by, value: merged };
  siblings.push(here);
  return newest;
}

function showObject(
  { objects, children }: VersionsField,
  path: readonly string[],
  siblings: Siblings[],
  policy: MergePolicy | undefined,
): Write | undefined {
  let newest: Version | undefined;
  const seenNewer = (version: Version) => {
    if (!newest || isLater(version, newest)) newest = version;
  };
  for (const version of objects) seenNewer(version);
  const value: Record<string, unknown> = {};
  let isObject = objects.length > 0;
  for (const [key, child] of [...(children ?? [])].sort(byKey)) {
    const shown = showField(child, [...path, key], siblings, policy);
    if (!shown) continue;
    seenNewer(shown.by);
    if (shown.value === null) continue;
    isObject = true;
    setOwn(value, key, shown.value);
  }
  return isObject && newest ? { by: newest, value } : undefined;
}

/** `w`: writes, each with its value, `o`: made an object by, `c`: what is below, by name. */
export interface VersionsJson {
  readonly w?: readonly (readonly [number, unknown])[];
  readonly o?: readonly number[];
  readonly c?: readonly (readonly [string, VersionsJson])[];
}

export function encodeVersions(
  { writes, objects, children }: VersionsField,
  table: VersionTable,
): VersionsJson {
  return {
    ...(writes.length > 0 && { w: writes.map(({ by, value }) => [table.placeOf(by), value] as const) }),
    ...(objects.length > 0 && { o: objects.map((by) => table.placeOf(by)) }),
    ...(children?.size && {
      c: [...children].sort(byKey).map(([key, child]) => [key, encodeVersions(child, table)] as const),
    }),
  };
}

export function decodeVersions(
  { w = [], o = [], c }: VersionsJson,
  version: (place: unknown) => Version,
): VersionsField {
  const field = newVersionsField();
  field.writes = w.map(([place, value]) => ({ by: version(place), value }));
  field.objects = o.map(version);
  if (c) field.children = new Map(c.map(([key, child]) => [key, decodeVersions(child, version)]));
  return field;
}

/** Forgets deletes from before a time that stand alone: nothing comes any more that had not seen them. */
export function compactVersions(
  field: VersionsField,
  beforeMs: number,
  lanes: Set<string>,
  isRoot = true,
): void {
  const [only] = field.writes;
  const isAlone = field.writes.length === 1 && field.objects.length === 0 && !field.children?.size;
  if (!isRoot && isAlone && only && only.value === null && only.by.ingestMs < beforeMs) field.writes = [];
  for (const { by } of field.writes) lanes.add(by.dot.lane);
  for (const { dot } of field.objects) lanes.add(dot.lane);
  if (!field.children) return;
  for (const [key, child] of field.children) {
    compactVersions(child, beforeMs, lanes, false);
    if (isNothing(child)) field.children.delete(key);
  }
}
