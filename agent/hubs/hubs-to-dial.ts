import type { DiscoveredNode, SourceName } from "../../shared/discovery/discovered-node.ts";
import { PRECEDENCE } from "../../shared/discovery/merge-said.ts";

/** A server tries one after the other; with more of them a dead one at the end would never be noticed. */
const MOST_HUBS = 16;

/**
 * Where sources say that leaves link to the hub, by their precedence. Only the hub of the configured name counts:
 * another has another log.
 */
export function foundHubs(
  listed: ReadonlyMap<SourceName, readonly DiscoveredNode[]>,
  hubName: string,
): string[] {
  return PRECEDENCE.flatMap((witness) =>
    witness === "heartbeat" || witness === "configuration" ? [] : (listed.get(witness) ?? []),
  ).flatMap(({ name, leafUrl }) => (name === hubName && leafUrl !== undefined ? leafUrl : []));
}

/** What a leaf's server is to dial, in order: what was found, then what is configured: a wrong listing strands no leaf. */
export function hubsToDial(found: readonly string[], configured: readonly string[]): string[] {
  const first = found.filter((hub) => !configured.includes(hub) || hub === found[0]);
  return [...new Set([...first.slice(0, MOST_HUBS - configured.length), ...configured])];
}

/** As nats-server tells of a hub it dials: `host:port`. Its own default port is that of links. */
export function dialledAs(hub: string): string {
  const { hostname, port } = new URL(hub);
  return `${hostname}:${port || "7422"}`;
}
