/** An address to listen on or to dial. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:80`, `[::1]:80`, `name:80`; null when it is not of that form or the port is above 65535. */
export function parseHostPort(text: string): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return null;
  const port = Number(match[4]);
  return port <= 65_535 ? { host, port } : null;
}

/** Where a node's server listens, taken from `nats.url`. Port 4222 when the URL has none. */
export function hostPortOfUrl(url: string): HostPort {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return { host, port: port === "" ? 4222 : Number(port) };
}
