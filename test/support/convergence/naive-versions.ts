import { isDeepStrictEqual } from "node:util";
import type { FoldEvent } from "../../../shared/consistency/resolve/fold-event.ts";
import { byStamp, isObject, MS_OF_90_DAYS, type NaiveView, naiveSaw } from "./naive-words.ts";

interface Op {
  readonly path: readonly string[];
  readonly event: FoldEvent;
  /** Absent: it made an object there. */
  readonly value?: unknown;
}

/** Every write is kept that no later event of the log, whose writer had seen it, has written over. */
export function naiveVersions(granularity: "field" | "document", history: readonly FoldEvent[]): NaiveView {
  const ops = history.flatMap((event) =>
    event.data === undefined ? [] : opsOf(event, [], event.data, granularity),
  );
  const alive = ops.filter(
    (op) =>
      !ops.some(
        (other) =>
          other.event.index > op.event.index &&
          (naiveSaw(other.event, op.event) || other.event.ingestMs - op.event.ingestMs > MS_OF_90_DAYS) &&
          ("value" in other ? startsWith(op.path, other.path) : isDeepStrictEqual(op.path, other.path)),
      ),
  );
  const siblings: NaiveView["siblings"][number][] = [];
  const shown = show(alive, [], siblings);
  return { value: shown?.value ?? null, deleted: shown !== undefined && shown.value === null, siblings };
}

function opsOf(event: FoldEvent, path: readonly string[], data: unknown, granularity: string): Op[] {
  if (granularity === "document" || !isObject(data)) return [{ path, event, value: data }];
  const inner = Object.entries(data).flatMap(([key, value]) =>
    opsOf(event, [...path, key], value, granularity),
  );
  return [{ path, event }, ...inner];
}

const startsWith = (path: readonly string[], start: readonly string[]): boolean =>
  start.every((key, n) => path[n] === key);

interface Shown {
  readonly stamp: FoldEvent["stamp"];
  readonly value: unknown;
}

function show(
  alive: readonly Op[],
  path: readonly string[],
  siblings: NaiveView["siblings"][number][],
): Shown | undefined {
  const here = alive.filter((op) => isDeepStrictEqual(op.path, path));
  const below = alive.filter((op) => op.path.length > path.length && startsWith(op.path, path));
  const versions: Shown[] = here.flatMap((op) =>
    "value" in op ? [{ stamp: op.event.stamp, value: op.value }] : [],
  );
  const markers = here.filter((op) => !("value" in op)).map(({ event }) => ({ stamp: event.stamp }));
  const innerSiblings: NaiveView["siblings"][number][] = [];
  const keys = [...new Set(below.map((op) => op.path[path.length] as string))].sort();
  const children = keys.flatMap((key) => {
    const child = show(alive, [...path, key], innerSiblings);
    return child ? [{ key, child }] : [];
  });
  const visible = children.filter(({ child }) => child.value !== null);
  let object: Shown | undefined;
  if (markers.length > 0 || visible.length > 0) {
    const newest = byStamp([...markers, ...children.map(({ child }) => child)]).at(-1) as Shown;
    const value = Object.fromEntries(visible.map(({ key, child }) => [key, child.value]));
    object = { stamp: newest.stamp, value };
    versions.push(object);
  }
  const sorted = byStamp(versions).reverse();
  const newest = sorted[0];
  if (newest && newest === object) siblings.push(...innerSiblings);
  if (sorted.some(({ value }) => !isDeepStrictEqual(value, newest?.value)))
    siblings.push({ path, values: sorted.map(({ value }) => value) });
  return newest;
}
