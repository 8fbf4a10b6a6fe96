import { MOST_LATE_MS } from "../../clock/stamp.ts";
import type { Granularity } from "../../contract/contract.ts";
import { inLogOrder, type Ordered } from "../in-log-order.ts";
import type { Resolver } from "../resolver.ts";
import { readVersions, VersionTable, versionOf } from "../version.ts";
import { newVersionsField, type VersionsField, VersionWriter } from "./versions-field.ts";
import {
  compactVersions,
  decodeVersions,
  encodeVersions,
  type MergePolicy,
  type VersionsJson,
  viewOf,
} from "./versions-forms.ts";

/**
 * Nothing is thrown away that a later writer has not seen: concurrent writes of one place stay side by side until somebody
 * who has read them writes it, or the domain's policy makes one value of them. Events' data is as with last-write-wins.
 */
export function vectorClock(
  granularity: Granularity,
  policy?: MergePolicy,
): Resolver<Ordered<VersionsField>> {
  return inLogOrder<VersionsField>({
    name: "vector-clock",
    empty: newVersionsField,
    apply(root, event, note) {
      if (event.data === undefined) return root;
      const writer = new VersionWriter(event, versionOf(event), policy !== undefined, note);
      if (granularity === "document") writer.replace(root, event.data);
      else writer.patch(root, event.data);
      return root;
    },
    view: (root) => viewOf(root, policy),
    compact(root, ingestMs, lanes) {
      compactVersions(root, ingestMs - MOST_LATE_MS, lanes);
      return root;
    },
    encode(root) {
      const table = new VersionTable();
      const field = encodeVersions(root, table);
      return { versions: table.rows, field };
    },
    decode(json) {
      const { versions, field } = json as { versions: unknown; field: VersionsJson };
      return decodeVersions(field, readVersions(versions));
    },
  });
}
