import { isDeepStrictEqual } from "node:util";
import * as Y from "yjs";
import type { FieldType } from "../../../shared/consistency/contract/contract.ts";
import type { FoldEvent } from "../../../shared/consistency/resolve/fold-event.ts";
import { byStamp, isObject, type NaiveView, naiveSaw } from "./naive-words.ts";

type Fields = Readonly<Record<string, FieldType>>;
type Sibling = NaiveView["siblings"][number];

/** What one event does at one place: an operation, or the delete of it or of something around it. */
interface Doing {
  readonly event: FoldEvent;
  readonly operation: unknown;
}

export function naiveTyped(fields: Fields, history: readonly FoldEvent[]): NaiveView {
  const told = history.filter(({ data }) => data !== undefined);
  const names = new Set(told.flatMap(({ data }) => (isObject(data) ? Object.keys(data) : [])));
  const siblings: Sibling[] = [];
  const value = new Map<string, unknown>();
  for (const name of [...names].sort()) {
    const type = Object.hasOwn(fields, name) ? (fields[name] as FieldType) : "register";
    const shown = show(type, [name], below(told.map(whole), name), siblings);
    if (shown !== undefined) value.set(name, shown);
  }
  const newest = byStamp(told).at(-1);
  const isDeleted = newest?.data === null;
  if (value.size > 0 || (newest && !isDeleted))
    return { value: Object.fromEntries(value), deleted: false, siblings };
  return { value: null, deleted: isDeleted, siblings };
}

const whole = (event: FoldEvent): Doing => ({ event, operation: event.data });

/** What is done at a key of a place, given what is done at the place. */
function below(doings: readonly Doing[], key: string): Doing[] {
  return doings.flatMap(({ event, operation }) => {
    if (operation === null) return [{ event, operation: null }];
    if (!isObject(operation) || !Object.hasOwn(operation, key)) return [];
    return [{ event, operation: operation[key] }];
  });
}

function show(
  type: FieldType,
  path: readonly string[],
  doings: readonly Doing[],
  siblings: Sibling[],
): unknown {
  if (type.startsWith("map of ")) {
    const keys = new Set(
      doings.flatMap(({ operation }) => (isObject(operation) ? Object.keys(operation) : [])),
    );
    const inner = type.slice("map of ".length) as FieldType;
    const entries = [...keys].sort().flatMap((key) => {
      const shown = show(inner, [...path, key], below(doings, key), siblings);
      return shown === undefined ? [] : [[key, shown] as const];
    });
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  }
  switch (type) {
    case "register": {
      const last = byStamp(doings.map(({ event, operation }) => ({ stamp: event.stamp, operation }))).at(-1);
      return last?.operation ?? undefined;
    }
    case "multi-value":
      return showVersions(path, doings, siblings);
    case "set":
      return showSet(doings);
    case "counter":
    case "counter-grow": {
      const counted = sinceDelete(doings);
      if (counted.length === 0) return undefined;
      return Number(counted.reduce((total, { operation }) => total + BigInt(operation as number), 0n));
    }
    default: {
      const edits = sinceDelete(doings);
      if (edits.length === 0) return undefined;
      const document = new Y.Doc();
      for (const { operation } of edits) {
        const { update } = operation as { update: string };
        Y.applyUpdate(document, Buffer.from(update, "base64"));
      }
      return type === "text" ? document.getText("text").toString() : document.getArray("list").toJSON();
    }
  }
}

/** Operations since the last delete that had seen, directly or by what was done later, every one before it. */
function sinceDelete(doings: readonly Doing[]): Doing[] {
  let since: Doing[] = [];
  let unseen: FoldEvent[] = [];
  for (const doing of doings) {
    unseen = unseen.filter((event) => !naiveSaw(doing.event, event));
    if (doing.operation !== null) {
      since.push(doing);
      unseen.push(doing.event);
    } else if (unseen.length === 0) since = [];
  }
  return since;
}

function showVersions(path: readonly string[], doings: readonly Doing[], siblings: Sibling[]): unknown {
  const alive = doings.filter(
    ({ event, operation }, n) =>
      operation !== null && !doings.slice(n + 1).some((later) => naiveSaw(later.event, event)),
  );
  const sorted = byStamp(
    alive.map(({ event, operation }) => ({ stamp: event.stamp, value: operation })),
  ).reverse();
  if (sorted.some(({ value }) => !isDeepStrictEqual(value, sorted[0]?.value)))
    siblings.push({ path, values: sorted.map(({ value }) => value) });
  return sorted[0]?.value;
}

/** An element is in when it was added and no later delete or add of it, or delete of the set, has seen that. */
function showSet(doings: readonly Doing[]): unknown {
  const parts = doings.map(({ event, operation }) => {
    const { add = [], remove = [] } = (operation ?? {}) as { add?: unknown[]; remove?: unknown[] };
    return { event, add, remove, all: operation === null };
  });
  const elements = parts.flatMap(({ event, add }, n) =>
    add.filter(
      (value) =>
        !parts
          .slice(n + 1)
          .some(
            (later) =>
              naiveSaw(later.event, event) &&
              (later.all || [...later.remove, ...later.add].some((one) => isDeepStrictEqual(one, value))),
          ),
    ),
  );
  const distinct = elements.filter(
    (value, n) => elements.findIndex((one) => isDeepStrictEqual(one, value)) === n,
  );
  return distinct.length > 0 ? distinct : undefined;
}
