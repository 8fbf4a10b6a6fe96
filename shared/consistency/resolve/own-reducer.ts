import { nodeOfLane } from "../clock/version-vector.ts";
import { inLogOrder, type Ordered } from "./in-log-order.ts";
import { canonicalJson } from "./json-value.ts";
import type { Resolver } from "./resolver.ts";
import { readVersions, type Version, VersionTable, versionOf } from "./version.ts";

/** An event as a domain's own reducer sees it. */
export interface ReducedEvent {
  readonly id: string;
  readonly type: string;
  readonly domain: string;
  readonly aggregate: string;
  /** Where it was written. */
  readonly node: string;
  /** Its effective time, ms. */
  readonly ms: number;
  readonly data: unknown;
}

/**
 * A domain's own meaning of its events: from a value (null: none yet) and an event the next value; null or undefined: deleted.
 * It must come to the same JSON wherever it runs, and change neither of what it is given. Events come in the log's order.
 * What it throws sets the event aside.
 */
export type Reduce = (value: unknown, event: ReducedEvent) => unknown;

interface Reduced {
  readonly value: unknown;
  readonly by: Version | undefined;
}

/** @param name of the resolver that the contract names: the reducer takes its place */
export function ownReducer(name: string, reduce: Reduce): Resolver<Ordered<Reduced>> {
  return inLogOrder<Reduced>({
    name,
    empty: () => ({ value: null, by: undefined }),
    apply(content, event) {
      const { id, type, domain, aggregate, dot, stamp, data } = event;
      const node = nodeOfLane(dot.lane);
      const value = reduce(content.value, { id, type, domain, aggregate, node, ms: stamp.ms, data }) ?? null;
      return { value, by: versionOf(event) };
    },
    view: ({ value, by }) => ({ value, deleted: value === null && by !== undefined, siblings: [] }),
    compact(content, _ingestMs, lanes) {
      if (content.by) lanes.add(content.by.dot.lane);
      return content;
    },
    encode({ value, by }) {
      const table = new VersionTable();
      if (by) table.placeOf(by);
      return { versions: table.rows, value: JSON.parse(canonicalJson(value)) };
    },
    decode(json) {
      const { versions, value } = json as { versions: unknown[]; value: unknown };
      const version = readVersions(versions);
      return { value, by: versions.length > 0 ? version(0) : undefined };
    },
  });
}
