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
/** `2026-11-24T12`: within the same hour of the clock there is nothing to reckon. */
const HOUR_CHARACTERS = 13;

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
  if (!written || KEYS.some((key) => !isSame(written[key], now[key]))) return true;
  if (now.lastSeen === null || now.lastSeen === written.lastSeen) return false;
  if (written.lastSeen === null || !isUp) return true;
  if (now.lastSeen.slice(0, HOUR_CHARACTERS) === written.lastSeen.slice(0, HOUR_CHARACTERS)) return false;
  return Date.parse(now.lastSeen) - Date.parse(written.lastSeen) >= LAST_SEEN_EVERY_MS;
}

const KEYS = Object.keys(nodeRecord.shape).filter((key) => key !== "lastSeen") as (keyof NodeRecord)[];

type Value = NodeRecord[keyof NodeRecord];

/** Of values as they are in a record. Called for every node each second, so no text is made of them. */
function isSame(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((one, at) => one === b[at]);
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object" || Array.isArray(b))
    return false;
  return a.latitude === b.latitude && a.longitude === b.longitude;
}
