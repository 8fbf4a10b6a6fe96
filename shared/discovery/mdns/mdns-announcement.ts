import { isIPv4, isIPv6 } from "node:net";
import type { Answer, DecodedPacket } from "dns-packet";
import { hostPortOfUrl, parseHostPort } from "../../config/host-port.ts";
import { plain } from "../dns/dns-message.ts";

/** A node as it tells of itself. */
export interface AnnouncedNode {
  readonly node: string;
  readonly region: string;
  readonly capabilities: readonly string[];
  /** Of the node's own server. */
  readonly natsUrl: string;
  /** Where a hub takes links, `host:port`; null: it takes none. */
  readonly leafListen: string | null;
}

/** What fits into one string of a TXT record. */
const LONGEST_TEXT = 255;

/**
 * The records of RFC 6763 that announce a node: it is an instance of the service, by its own name.
 *
 * @param service as `_nats._tcp.cim.local`
 * @param here the address by which others on this network reach the machine
 * @param ttlS 0 takes the announcement back
 */
export function announcement(about: AnnouncedNode, service: string, here: string, ttlS: number): Answer[] {
  const { node, region, natsUrl, leafListen } = about;
  const instance = `${node}.${plain(service)}`;
  const target = `${node}.${plain(service).split(".").slice(2).join(".")}`;
  const { host, port } = hostPortOfUrl(natsUrl);
  const leafPort = leafListen === null ? undefined : parseHostPort(leafListen)?.port;
  const texts = [
    `region=${region}`,
    ...(about.capabilities.length > 0 ? [`capabilities=${toldCapabilities(about).join(",")}`] : []),
    ...(leafPort ? [`leafport=${leafPort}`] : []),
  ];
  // Nobody else has this node's name: what is said now replaces what was said before (RFC 6762, section 10.2).
  const own = { ttl: ttlS, class: "IN", flush: true } as const;
  return [
    { type: "PTR", name: plain(service), ttl: ttlS, class: "IN", data: instance },
    { type: "SRV", name: instance, ...own, data: { port, target, priority: 0, weight: 0 } },
    { type: "TXT", name: instance, ...own, data: texts },
    {
      type: isIPv6(host) && !isEverybodysOwn(host) ? "AAAA" : "A",
      name: target,
      ...own,
      data: addressOf(host, here),
    },
  ];
}

/** Those that fit into an announcement; the others are known when the node has connected. */
export function toldCapabilities({ capabilities }: AnnouncedNode): readonly string[] {
  let room = LONGEST_TEXT - "capabilities=".length + 1;
  const end = capabilities.findIndex((one) => {
    room -= one.length + 1;
    return room < 0;
  });
  return end < 0 ? capabilities : capabilities.slice(0, end);
}

/** Whether it asks for any of these records, and does not know it already (RFC 6762, section 7.1). */
export function isAskedFor(query: DecodedPacket, records: readonly Answer[]): boolean {
  if (query.type !== "query" || (query as { opcode?: string }).opcode !== "QUERY") return false;
  const known = query.answers ?? [];
  return records.some((record) => {
    const isAsked = (query.questions ?? []).some(
      ({ type, name }) =>
        (type === record.type || (type as string) === "ANY") && plain(name) === plain(record.name),
    );
    return isAsked && !known.some((one) => isKnown(one, record));
  });
}

/** Only the record that others have too is left out by it: what a node alone has, it had better say again. */
function isKnown(known: Answer, own: Answer): boolean {
  return (
    known.type === "PTR" &&
    own.type === "PTR" &&
    plain(known.name) === plain(own.name) &&
    plain(known.data) === plain(own.data) &&
    (known.ttl ?? 0) * 2 >= (own.ttl ?? 0)
  );
}

function addressOf(host: string, here: string): string {
  return (isIPv4(host) || isIPv6(host)) && !isEverybodysOwn(host) ? host : here;
}

/** Addresses by which everybody reaches only itself. */
function isEverybodysOwn(host: string): boolean {
  return /^(127\.|0\.0\.0\.0$|::1?$)/.test(host);
}
