import { MOST_LATE_MS } from "../../clock/stamp.ts";
import { decodeVector, encodeVector, raise } from "../../clock/version-vector.ts";
import type { Granularity } from "../../contract/contract.ts";
import type { Resolver } from "../resolver.ts";
import { onlyLanes, readVersions, VersionTable, versionOf } from "../version.ts";
import { type Field, newField, PatchWriter } from "./field.ts";
import { compactField, decodeField, encodeField, type FieldJson, fieldValue } from "./field-forms.ts";

export interface LastWriteWins {
  readonly root: Field;
  seen: Map<string, number>;
}

/**
 * The later write wins, by stamp. With granularity `field` an event's data is a merge patch (RFC 7396), and of each place in
 * the value the latest write counts, as if all patches had been applied in the order of their stamps. With `document` the
 * data is the whole value. null deletes.
 */
export function lastWriteWins(granularity: Granularity): Resolver<LastWriteWins> {
  return {
    name: "last-write-wins",
    empty: () => ({ root: newField(), seen: new Map() }),
    apply(state, event, note) {
      const { dot, data } = event;
      raise(state.seen, dot.lane, dot.seq);
      if (data === undefined) return state;
      const writer = new PatchWriter(event, versionOf(event), note);
      if (granularity === "document") writer.replace(state.root, data);
      else writer.patch(state.root, data);
      return state;
    },
    view({ root }) {
      const value = fieldValue(root) ?? null;
      return { value, deleted: value === null && root.over !== undefined, siblings: [] };
    },
    seen: (state) => state.seen,
    compact(state, { ingestMs }) {
      const lanes = new Set<string>();
      compactField(state.root, ingestMs - MOST_LATE_MS, lanes);
      state.seen = onlyLanes(state.seen, lanes);
      return state;
    },
    encode({ root, seen }) {
      const table = new VersionTable();
      const field = encodeField(root, table);
      return { v: 1, seen: encodeVector(seen), versions: table.rows, field };
    },
    decode(json) {
      const state = json as { v?: unknown; seen?: unknown; versions?: unknown; field?: FieldJson } | null;
      if (state?.v !== 1 || !state.field) throw new TypeError("no state of last-write-wins");
      return { root: decodeField(state.field, readVersions(state.versions)), seen: decodeVector(state.seen) };
    },
  };
}
