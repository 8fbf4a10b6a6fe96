import { MODES, type Mode, type ResolverName } from "./contract.ts";

/** One pair of mode and resolver, and what this build makes of it. */
export interface Pair {
  readonly mode: Mode;
  readonly resolver: ResolverName;
  readonly offered: boolean;
  /** What somebody who declares it gets, or why it is not offered. */
  readonly why: string;
  /** What to write where it is not offered, ready to follow the word "write". */
  readonly write: string;
}

const offered = (mode: Mode, resolver: ResolverName, why: string): Pair => ({
  mode,
  resolver,
  offered: true,
  why,
  write: "",
});

const later = (resolver: ResolverName): Pair => ({
  mode: "causal",
  resolver,
  offered: false,
  why: "readers would have to be held back until all that an event builds on is there, and this build does not do that",
  write: '"eventual", and name what an event was caused by (causedBy), so that readers can tell',
});

/** The only place that says what is offered. The checks of the configuration, the schema and the docs follow from it. */
export const PAIRS: readonly Pair[] = [
  offered(
    "eventual",
    "last-write-wins",
    "written locally, always; of concurrent writes of a field (or document) the later clock wins, and the loss is journalled",
  ),
  offered(
    "eventual",
    "vector-clock",
    "written locally, always; concurrent writes are kept side by side until a later write or a policy merges them",
  ),
  offered(
    "eventual",
    "crdt",
    "written locally, always; concurrent writes of typed fields merge by their type",
  ),
  later("last-write-wins"),
  later("vector-clock"),
  later("crdt"),
  offered(
    "strong",
    "last-write-wins",
    "committed by the hub, refused while it is away; the history is one line, so nothing conflicts but what was written before a change of mode",
  ),
  offered(
    "strong",
    "vector-clock",
    "committed by the hub, refused while it is away; siblings come only from what was written before a change of mode",
  ),
  offered(
    "strong",
    "crdt",
    "committed by the hub, refused while it is away; typed fields, of which only those written before a change of mode had to merge",
  ),
];

/** The row of a pair. */
export function pairOf(mode: Mode, resolver: ResolverName): Pair {
  return PAIRS.find((pair) => pair.mode === mode && pair.resolver === resolver) as Pair;
}

/** Modes that this build offers with at least one resolver. */
export const OFFERED_MODES: readonly Mode[] = MODES.filter((mode) =>
  PAIRS.some((pair) => pair.mode === mode && pair.offered),
);
