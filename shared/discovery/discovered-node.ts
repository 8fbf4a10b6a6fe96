/** A node as one source lists it. What the source does not say of it is absent. */
export interface DiscoveredNode {
  readonly name: string;
  /** Where it can be probed, as `nats://10.0.0.2:4222`. */
  readonly url?: string;
  readonly region?: string;
  readonly capabilities?: readonly string[];
  /** Of a hub: where leaves link to it, as `nats-leaf://10.0.0.1:7422`. */
  readonly leafUrl?: string;
}

/** What lists nodes by itself, beside the coordinator's own document, links and heartbeats. */
export const SOURCES = ["static", "kubernetes", "consul", "dns", "mdns"] as const;
export type SourceName = (typeof SOURCES)[number];

/** Who can say something of a node. */
export type Witness = "heartbeat" | "configuration" | SourceName;

/** The region of a document that names none: no statement. */
const UNSAID_REGION = "default";

/** A node of a configuration, without what its document leaves at the default. */
export function asDiscovered(node: {
  readonly name: string;
  readonly url?: string;
  readonly region?: string | null;
  readonly capabilities?: readonly string[];
  readonly leafUrl?: string | undefined;
}): DiscoveredNode {
  const { name, url, region, capabilities, leafUrl } = node;
  return {
    name,
    ...(url !== undefined && { url }),
    ...(typeof region === "string" && region !== UNSAID_REGION && { region }),
    ...(capabilities !== undefined && capabilities.length > 0 && { capabilities }),
    ...(leafUrl !== undefined && { leafUrl }),
  };
}
