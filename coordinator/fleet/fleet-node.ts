import type { DiscoveredNode, Witness } from "../../shared/discovery/discovered-node.ts";
import { type MergedNode, PRECEDENCE } from "../../shared/discovery/merge-said.ts";
import type { Coordinates, Heartbeat } from "../../shared/protocol/messages.ts";
import type { Evidence, Verdict } from "../health/verdict.ts";

/** A node as the coordinator knows it. */
export interface FleetNode extends MergedNode {
  readonly name: string;
  readonly role: "hub" | "leaf";
  readonly health: NodeHealth;
  /** Who says that it exists. */
  readonly sources: readonly string[];
  /** What each of them says of it, whose word counts first first. */
  readonly said: readonly Said[];
  readonly link: { readonly up: boolean; readonly since: string | null; readonly rttMs: number | null };
  /** Of its daemon; null: it never spoke. */
  readonly version: string | null;
  /** Of its nats-server. */
  readonly serverVersion: string | null;
  /** What its domains are replicated by, as a hash; nodes that differ in it do not agree. */
  readonly contracts: string | null;
  readonly coordinates: Coordinates | null;
  readonly incarnation: number | null;
  readonly firstSeen: string | null;
  readonly lastSeen: string | null;
  readonly heartbeat: Heartbeat | null;
  /** Since that heartbeat came, ms by the coordinator's own clock. */
  readonly silentForMs: number | null;
}

/** What a node's health is taken to be, since when, and from what. */
export interface NodeHealth extends Pick<Verdict, "state" | "suspect" | "part"> {
  readonly since: string;
  /** It comes and goes and is not called up again before it has been well for a while. */
  readonly flapping: boolean;
  /** In words: why, then what is known of agent, link, server and probe. */
  readonly evidence: readonly string[];
  /** The same for programs. */
  readonly checks: Evidence;
}

/** What one source says of a node. */
export interface Said {
  readonly source: Witness;
  readonly url: string | null;
  readonly region: string | null;
  readonly capabilities: readonly string[];
  /** Of a hub: where leaves link to it. */
  readonly leafUrl: string | null;
}

export function saidInOrder(said: ReadonlyMap<Witness, DiscoveredNode>): Said[] {
  return PRECEDENCE.flatMap((source) => {
    const words = said.get(source);
    if (!words) return [];
    const { url = null, region = null, capabilities = [], leafUrl = null } = words;
    return { source, url, region, capabilities, leafUrl };
  });
}
