import type { NatsConnection } from "@nats-io/transport-node";
import { systemRequest } from "./system-request.ts";

/**
 * Has a server read its configuration file again: users and rights take effect with no link lost.
 * @param nc a connection to that server in its system account
 * @throws {SystemRequestFailed} also when the server does not take the file, with its reason
 */
export async function reloadServer(nc: NatsConnection): Promise<void> {
  await systemRequest(nc, `$SYS.REQ.SERVER.${serverId(nc)}.RELOAD`);
}

/**
 * The hubs a server dials for an account, `host:port` each, in order, as its configuration had it when it was last read.
 * @param nc a connection to that server in its system account
 * @throws {SystemRequestFailed}
 */
export async function dialledHubs(nc: NatsConnection, account: string): Promise<readonly string[]> {
  const { leaf } = await systemRequest<Varz>(nc, `$SYS.REQ.SERVER.${serverId(nc)}.VARZ`);
  return leaf?.remotes?.find((remote) => remote.local_account === account)?.urls ?? [];
}

/** The part of nats-server's `Varz` that is read here (server/monitor.go). */
interface Varz {
  readonly leaf?: {
    readonly remotes?: readonly { readonly local_account?: string; readonly urls?: readonly string[] }[];
  };
}

/**
 * Closes a connection of the server, a link for instance: a user that was removed stays connected until then.
 * @param cid the number the server gave to the connection
 */
export async function kickConnection(nc: NatsConnection, cid: number): Promise<void> {
  await systemRequest(nc, `$SYS.REQ.SERVER.${serverId(nc)}.KICK`, { cid });
}

/** The id of the server a connection is connected to at the moment; a new one at each start of the server. */
export function serverId(nc: NatsConnection): string {
  const id = nc.info?.server_id;
  if (id === undefined) throw new Error("the connection to nats-server is down");
  return id;
}
