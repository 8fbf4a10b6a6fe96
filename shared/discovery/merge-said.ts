import type { DiscoveredNode, Witness } from "./discovered-node.ts";

/**
 * Whose word counts before whose, for each thing that is said of a node. The node knows itself best; then comes what
 * an operator wrote down by hand, then a catalogue that asks for a token, then what the zone's servers answer, then what
 * anybody on the same network calls out.
 */
export const PRECEDENCE: readonly Witness[] = [
  "heartbeat",
  "configuration",
  "static",
  "kubernetes",
  "consul",
  "dns",
  "mdns",
];

/** A node as all that is said of it together has it. */
export interface MergedNode {
  readonly url: string | null;
  readonly region: string;
  readonly capabilities: readonly string[];
}

/** What several say of one node, put together: each field from the first by precedence that says anything of it. */
export function mergeSaid(said: ReadonlyMap<Witness, DiscoveredNode>): MergedNode {
  const inOrder = PRECEDENCE.flatMap((witness) => said.get(witness) ?? []);
  const first = <K extends keyof DiscoveredNode>(key: K): DiscoveredNode[K] | undefined =>
    inOrder.find((words) => words[key] !== undefined)?.[key];
  return {
    url: first("url") ?? null,
    region: first("region") ?? "default",
    capabilities: first("capabilities") ?? [],
  };
}
