import { MOST_LATE_MS } from "../../clock/stamp.ts";
import { type DomainContract, type FieldType, valuesOfMap } from "../../contract/contract.ts";
import { checkData } from "../check-data.ts";
import type { FoldEvent } from "../fold-event.ts";
import { inLogOrder, type Ordered } from "../in-log-order.ts";
import { isRecord } from "../json-value.ts";
import type { Resolver, Siblings } from "../resolver.ts";
import { isLater, readVersions, type Version, VersionTable, versionOf } from "../version.ts";
import { later, type MapCell } from "./map-cell.ts";
import type { SequenceLibrary } from "./sequence-cell.ts";
import { fieldType, needsSequences, rootCell } from "./typed-cells.ts";

export interface Typed {
  readonly root: MapCell;
  /** The newest event that wrote something: with nothing in it, what tells an empty aggregate from a deleted one. */
  touched: Version | undefined;
}

/**
 * Typed fields that merge by their types: what was written concurrently is all in the value, or, of a last-writer register,
 * the later write is.
 * @param sequences needed when a field is text or a list
 */
export function crdt(
  fields: DomainContract["fields"],
  sequences?: SequenceLibrary,
): Resolver<Ordered<Typed>> {
  return inLogOrder<Typed>({
    name: "crdt",
    empty: () => ({ root: rootCell(fields, sequences), touched: undefined }),
    refusal: ({ data }: FoldEvent) =>
      checkData({ resolver: "crdt", fields }, data) ?? (sequences && sequenceFault(fields, data, sequences)),
    apply(content, event, note) {
      const { data } = event;
      if (data === undefined) return content;
      const by = versionOf(event);
      const change = { event, by, note, path: [] };
      if (data === null) content.root.remove(change);
      else {
        content.root.apply(data, change, undefined);
        content.touched = later(content.touched, by);
      }
      return content;
    },
    view({ root, touched }) {
      const siblings: Siblings[] = [];
      root.addSiblings([], siblings);
      const isThere = touched && (!root.floor || isLater(touched, root.floor));
      const value = root.value() ?? (isThere ? {} : null);
      return { value, deleted: value === null && root.floor !== undefined, siblings };
    },
    compact(content, ingestMs, lanes) {
      const { root, touched } = content;
      const { floor } = root;
      root.compact(ingestMs - MOST_LATE_MS, lanes, undefined);
      // That it was deleted is what programs are told, for as long as it is.
      if (floor && !(touched && isLater(touched, floor))) root.floor = floor;
      if (root.floor) lanes.add(root.floor.dot.lane);
      if (touched) lanes.add(touched.dot.lane);
      return content;
    },
    encode({ root, touched }) {
      const table = new VersionTable();
      const cell = root.encode(table);
      const t = touched && table.placeOf(touched);
      return { versions: table.rows, root: cell, ...(t !== undefined && { t }) };
    },
    decode(json) {
      const { versions, root, t } = json as { versions: unknown; root: unknown; t?: number };
      const version = readVersions(versions);
      return {
        root: rootCell(fields, sequences, root, version),
        touched: t === undefined ? undefined : version(t),
      };
    },
  });
}

/** Read once before it is applied: the library would take in half of an update that ends too early. */
function sequenceFault(
  fields: Readonly<Record<string, FieldType>>,
  data: unknown,
  library: SequenceLibrary,
): string | undefined {
  if (!isRecord(data)) return undefined;
  for (const name in data) {
    const type = fieldType(fields, name);
    if (!needsSequences(type)) continue;
    try {
      for (const update of updatesOf(type, data[name])) library.decodeUpdate(Buffer.from(update, "base64"));
    } catch {
      return `${name} is a ${type}: its update is none that Yjs reads`;
    }
  }
  return undefined;
}

function updatesOf(type: FieldType, operation: unknown): string[] {
  if (!isRecord(operation)) return [];
  const values = valuesOfMap(type);
  if (values === undefined) return [operation.update as string];
  return Object.values(operation).flatMap((inner) => updatesOf(values, inner));
}
