import { parseHostPort } from "./host-port.ts";

/** Names that belong to multicast DNS (RFC 6762, section 3): no server of the global DNS knows them. */
export function isLocalName(name: string): boolean {
  return /\.local\.?$/i.test(name);
}

/** `224.0.0.251:5353`: an IPv4 address that everybody who listens for it hears, and a port. */
export function isMulticastGroup(text: string): boolean {
  const { host, port } = parseHostPort(text) ?? { host: "", port: 0 };
  return port > 0 && /^2(2[4-9]|3\d)(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}$/.test(host);
}
