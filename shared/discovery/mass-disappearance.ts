import type { DiscoveredNode } from "./discovered-node.ts";

/** A node that is listed no longer. */
interface Missing {
  readonly node: DiscoveredNode;
  readonly sinceMs: number;
}

/** What is taken for listed by one source. */
export interface Held {
  readonly listed: ReadonlyMap<string, DiscoveredNode>;
  /** Missing together with so many others that a second opinion is asked first: they count as listed. */
  readonly withheld: ReadonlyMap<string, Missing>;
  /** Missing of late, and believed to be gone. */
  readonly gone: ReadonlyMap<string, Missing>;
}

export const NOTHING_HELD: Held = { listed: new Map(), withheld: new Map(), gone: new Map() };

/** What goes within this time goes together: a catalogue may be emptied entry by entry. */
export const TOGETHER_MS = 60_000;

/**
 * How long a source must go on leaving nodes out before links and heartbeats are believed that they are gone. A zone
 * or catalogue that was emptied by mistake is usually back within this time.
 */
export const SETTLE_MS = 5 * 60_000;

/**
 * Takes over a new listing. A few nodes may go; when none is listed any more, or less than half of those that were a
 * minute ago, the missing are withheld: rather is the source broken than half of a fleet gone at once.
 */
export function takeListing(held: Held, nodes: readonly DiscoveredNode[], nowMs: number): Held {
  const listed = new Map(nodes.map((node) => [node.name, node]));
  const lately = [...held.gone].filter(([, { sinceMs }]) => nowMs - sinceMs < TOGETHER_MS);
  const before = new Map<string, Missing>([
    ...[...held.listed].map(([name, node]) => [name, { node, sinceMs: nowMs }] as const),
    ...held.withheld,
    ...lately,
  ]);
  const missing = [...before].filter(([name]) => !listed.has(name));
  const isMass = missing.length > 0 && (listed.size === 0 || missing.length * 2 > before.size);
  return {
    listed,
    withheld: new Map(missing.filter(([name]) => isMass || held.withheld.has(name))),
    gone: new Map(missing.filter(([name]) => !isMass && !held.withheld.has(name))),
  };
}

/**
 * Lets go of the withheld that are gone by both opinions: missing for long, and not seen by one who sees others.
 *
 * @param seen names of the other nodes that are linked or were heard just now; none: it may be we who are cut off
 */
export function reviewWithheld(held: Held, seen: ReadonlySet<string>, nowMs: number): Held {
  if (held.withheld.size === 0 || seen.size === 0) return held;
  const kept = [...held.withheld].filter(
    ([name, { sinceMs }]) => nowMs - sinceMs < SETTLE_MS || seen.has(name),
  );
  return kept.length === held.withheld.size ? held : { ...held, withheld: new Map(kept) };
}

/** All that counts as listed. */
export function heldNodes(held: Held): DiscoveredNode[] {
  return [...held.listed.values(), ...[...held.withheld.values()].map(({ node }) => node)];
}
