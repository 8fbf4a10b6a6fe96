import type { NatsConnection } from "@nats-io/transport-node";
import { connectNats } from "../shared/nats/connect.ts";
import { ConnectionWatch } from "../shared/nats/connection-watch.ts";
import { findNode, type NodeOptions } from "./find-fleet.ts";
import { type UserOptions, userOf } from "./user-options.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export type ConnectionOptions = NodeOptions & UserOptions;

/** A connection to a node's server, closed on disposal. */
export interface NodeConnection extends AsyncDisposable {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly url: string;
  /** Tells when the connection is lost: what was asked over it is not answered any more. */
  readonly watch: ConnectionWatch;
}

/** @throws CommandFailure, LabError, NatsUnreachable, SeedFileError, PasswordFileError: one line each */
export async function connectNode(options: ConnectionOptions, command: string): Promise<NodeConnection> {
  const { name, url } = await findNode(options);
  const nc = await connectNats({
    url,
    name: command,
    firstConnectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...userOf(options),
  });
  return {
    nc,
    node: name ?? nc.info?.server_name ?? url,
    url,
    watch: new ConnectionWatch(nc),
    async [Symbol.asyncDispose]() {
      await nc.close();
    },
  };
}
