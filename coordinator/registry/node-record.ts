import * as z from "zod";
import { coordinates } from "../../shared/protocol/messages.ts";
import type { FleetNode } from "../fleet/fleet-node.ts";

/** What is kept of a node over restarts of the coordinator. How it is, is not: that is seen anew. */
export const nodeRecord = z.object({
  name: z.string(),
  role: z.enum(["hub", "leaf"]),
  region: z.string(),
  capabilities: z.array(z.string()),
  coordinates: coordinates.nullable(),
  url: z.string().nullable(),
  version: z.string().nullable(),
  serverVersion: z.string().nullable(),
  contracts: z.string().nullable(),
  sources: z.array(z.string()),
  incarnation: z.number().int().nullable(),
  firstSeen: z.string().nullable(),
  lastSeen: z.string().nullable(),
});
export type NodeRecord = z.infer<typeof nodeRecord>;

/** How old the recorded `lastSeen` of a node may become that is heard all the time. */
const LAST_SEEN_EVERY_MS = 60 * 60_000;

export function recordOf(node: FleetNode): NodeRecord {
  const { name, role, region, capabilities, coordinates, url, version, serverVersion, contracts } = node;
  const { sources, incarnation, firstSeen, lastSeen } = node;
  return {
    name,
    role,
    region,
    capabilities: [...capabilities],
    coordinates,
    url,
    version,
    serverVersion,
    contracts,
    // A link comes and goes; that is no change of who the node is.
    sources: sources.filter((source) => source !== "link"),
    incarnation,
    firstSeen,
    lastSeen,
  };
}

/**
 * Whether a record is to be written. Only what changed is: `lastSeen` goes along with any other change, is written when a
 * node ceases to be up, and else when it is an hour old. (10,000 nodes: three writes a second.)
 */
export function isWorthWriting(written: NodeRecord | undefined, now: NodeRecord, isUp: boolean): boolean {
  if (!written) return true;
  const { lastSeen: before, ...rest } = written;
  const { lastSeen, ...restNow } = now;
  if (JSON.stringify(rest) !== JSON.stringify(restNow)) return true;
  if (before === lastSeen || lastSeen === null) return false;
  if (before === null || !isUp) return true;
  return Date.parse(lastSeen) - Date.parse(before) >= LAST_SEEN_EVERY_MS;
}
