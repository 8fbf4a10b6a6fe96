import type { NatsConnection } from "@nats-io/transport-node";
import { isAtLeast, MINIMUM_NATS_SERVER } from "./server-binary.ts";

/** The server is older than what the streams need. Exit code 2: somebody has to install another. */
export class ServerTooOld extends Error {
  override readonly name = "ServerTooOld";
  readonly exitCode = 2;
}

/** @throws {ServerTooOld} */
export function requireServerVersion(nc: NatsConnection): void {
  const version = nc.info?.version ?? "0";
  if (isAtLeast(version, MINIMUM_NATS_SERVER)) return;
  throw new ServerTooOld(
    `nats-server at ${nc.getServer()} is ${version}, ${MINIMUM_NATS_SERVER} or newer is needed (atomic batches): go install github.com/nats-io/nats-server/v2@v${MINIMUM_NATS_SERVER}`,
  );
}
