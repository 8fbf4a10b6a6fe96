import type { DomainContract } from "../../../shared/consistency/contract/contract.ts";
import type { FoldEvent } from "../../../shared/consistency/resolve/fold-event.ts";
import { naiveTyped } from "./naive-typed.ts";
import { naiveVersions } from "./naive-versions.ts";
import { byStamp, isObject, type NaiveView } from "./naive-words.ts";

// What the resolvers promise, written down as directly as possible: from all events at once, with no regard to cost, and with
// nothing of the resolvers' own code.

export function naiveView(
  contract: Pick<DomainContract, "resolver" | "granularity" | "fields">,
  history: readonly FoldEvent[],
): NaiveView {
  if (contract.resolver === "crdt") return naiveTyped(contract.fields, history);
  if (contract.resolver === "vector-clock") return naiveVersions(contract.granularity, history);
  let value: unknown;
  for (const { data } of byStamp(history)) {
    if (data === undefined) continue;
    value = contract.granularity === "document" ? data : mergePatch(value, data);
  }
  return { value: value ?? null, deleted: value === null, siblings: [] };
}

/** RFC 7396, section 2, as it stands there. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, mergePatch(result.get(name), value));
  }
  return Object.fromEntries(result);
}
