import type * as z from "zod";
import { label, url } from "../config/value-kinds.ts";
import { isNodeName, NODE_NAME_RULE } from "../protocol/names.ts";
import { asDiscovered, type DiscoveredNode } from "./discovered-node.ts";
import type { Report } from "./source.ts";

/** As many as a configuration may list. */
const MOST_NODES = 10_000;
const MOST_CAPABILITIES = 64;
/** So many reasons are told; a thousand bad entries have one cause. */
const MOST_REASONS = 10;

/** An entry of a source, of which nothing has been checked. */
export interface RawEntry {
  readonly name: string;
  readonly url?: string | undefined;
  readonly region?: string | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly leafUrl?: string | undefined;
}

const nodeUrl = url("nats", "tls", "ws", "wss", "http", "https");
const linkUrl = url("nats-leaf", "nats", "tls", "ws", "wss");

/**
 * Takes from a source's answer what can be used: an entry without a proper name is left out, of the others what is
 * wrong. An answer of which nothing can be used is an outage: a source gone mad has not said that there are no nodes.
 */
export function readListing(entries: readonly RawEntry[]): Report {
  const nodes = new Map<string, DiscoveredNode>();
  const wrong: string[] = [];
  for (const entry of entries) {
    const { name } = entry;
    if (!isNodeName(name)) {
      wrong.push(`${shown(name)} is no node name: write ${NODE_NAME_RULE}`);
    } else if (nodes.has(name)) {
      wrong.push(`${name} is listed twice: the first counts`);
    } else if (nodes.size === MOST_NODES) {
      wrong.push(`${name} and what follows: more than ${MOST_NODES} nodes`);
      break;
    } else {
      nodes.set(name, withoutFaults(entry, wrong));
    }
  }
  const leftOut = wrong.slice(0, MOST_REASONS);
  if (nodes.size === 0 && wrong.length > 0) {
    return { kind: "outage", reason: `lists nothing that can be used: ${leftOut[0]}` };
  }
  return { kind: "listing", nodes: [...nodes.values()], leftOut };
}

function withoutFaults(entry: RawEntry, wrong: string[]): DiscoveredNode {
  const { name } = entry;
  const fine = (schema: z.ZodType, what: string, value: string): boolean => {
    const { success, error } = schema.safeParse(value);
    if (!success) wrong.push(`${name}: ${what} ${shown(value)} ${error.issues[0]?.message ?? "is wrong"}`);
    return success;
  };
  const capabilities = entry.capabilities?.filter((one) => fine(label, "capability", one));
  if ((capabilities?.length ?? 0) > MOST_CAPABILITIES) {
    wrong.push(`${name}: more than ${MOST_CAPABILITIES} capabilities`);
  }
  const { leafUrl } = entry;
  return asDiscovered({
    name,
    ...(leafUrl !== undefined && fine(linkUrl, "leafUrl", leafUrl) && { leafUrl }),
    ...(entry.url !== undefined && fine(nodeUrl, "url", entry.url) && { url: entry.url }),
    ...(entry.region !== undefined && fine(label, "region", entry.region) && { region: entry.region }),
    ...(capabilities && { capabilities: [...new Set(capabilities)].slice(0, MOST_CAPABILITIES) }),
  });
}

/** Foreign text as a message may hold it: short, and without what moves a terminal's cursor. */
function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short).replace(/[\p{Cc}\p{Cf}]/gu, "�");
}
