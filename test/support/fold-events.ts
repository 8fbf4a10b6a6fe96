import type { FoldEvent } from "../../shared/consistency/resolve/fold-event.ts";
import type { Conflict, Resolver } from "../../shared/consistency/resolve/resolver.ts";

export interface EventParts {
  readonly node?: string;
  /** In the node's outbox; by default the log's index. */
  readonly seq?: number;
  /** Effective time; by default the log's index. */
  readonly ms?: number;
  readonly ingestMs?: number;
  /** By lane; absent: its writer does not say. */
  readonly seen?: Readonly<Record<string, number>>;
  readonly retired?: readonly string[];
}

/** An event of aggregate `one`, the log's index-th, of lane `<node>/1`. */
export function foldEventOf(index: number, data: unknown, parts: EventParts = {}): FoldEvent {
  const { node = "a", seq = index, ms = index, seen, retired = [] } = parts;
  const dot = { lane: `${node}/1`, seq };
  return {
    id: `${node}${seq}`,
    domain: "tests",
    aggregate: "one",
    type: "Written",
    dot,
    stamp: { ms, order: 0, ...dot },
    index,
    ingestMs: parts.ingestMs ?? ms,
    seen: new Map(seen ? Object.entries(seen) : [[dot.lane, seq - 1]]),
    clockless: seen === undefined,
    retired: new Set(retired),
    data,
  };
}

export interface Folding<S> {
  readonly state: S;
  readonly conflicts: readonly Conflict[];
}

export function foldAll<S>(
  resolver: Resolver<S>,
  events: readonly FoldEvent[],
  from: S = resolver.empty(),
): Folding<S> {
  const conflicts: Conflict[] = [];
  const state = events.reduce(
    (before, event) => resolver.apply(before, event, (conflict) => conflicts.push(conflict)),
    from,
  );
  return { state, conflicts };
}

/** As a state comes out of a bucket again. */
export function stored<S>(resolver: Resolver<S>, state: S): S {
  return resolver.decode(JSON.parse(JSON.stringify(resolver.encode(state))));
}
