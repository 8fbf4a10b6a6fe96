import { isIPv6 } from "node:net";
import type { RawEntry } from "../read-listing.ts";
import type { DnsRecord } from "./dns-message.ts";

type Service = Extract<DnsRecord, { type: "SRV" }>;

/**
 * The servers of a service, the preferred first (RFC 2782), each name once. None: also for the target ".", by which a
 * zone says that the service is decidedly not offered.
 */
export function servicesOf(records: readonly DnsRecord[]): Service[] {
  const services = records
    .filter((record): record is Service => record.type === "SRV" && record.target !== "")
    .sort((a, b) => a.priority - b.priority || b.weight - a.weight || a.port - b.port);
  return [...new Map(services.toReversed().map((one) => [one.target, one])).values()].reverse();
}

/**
 * A node from its SRV record and what its target has: an address, and TXT strings `region=eu`, `capabilities=gpu,ssd`
 * where the node's name is not the target's first label, `node=leaf1`, and of a hub, `leafport=7422` (keys as in RFC
 * 6763, section 6).
 */
export function entryOf(
  service: Service,
  texts: readonly DnsRecord[],
  addresses: readonly DnsRecord[],
): RawEntry {
  const fields = fieldsOf(texts);
  const address = addresses.flatMap((one) => ("address" in one ? one.address : [])).sort()[0];
  const host = address === undefined ? service.target : isIPv6(address) ? `[${address}]` : address;
  return {
    name: fields.get("node") ?? (service.target.split(".")[0] as string),
    url: `nats://${host}:${service.port}`,
    ...(fields.has("leafport") && { leafUrl: `nats-leaf://${host}:${fields.get("leafport")}` }),
    region: fields.get("region"),
    capabilities: fields
      .get("capabilities")
      ?.split(",")
      .map((one) => one.trim())
      .filter((one) => one !== ""),
  };
}

/** `key=value` strings; keys in any case, the first of a key counts. */
function fieldsOf(texts: readonly DnsRecord[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const text of texts.flatMap((one) => (one.type === "TXT" ? one.strings : []))) {
    const at = text.indexOf("=");
    const key = text.slice(0, at).toLowerCase();
    if (at > 0 && !fields.has(key)) fields.set(key, text.slice(at + 1));
  }
  return fields;
}
