import type { NatsConnection } from "@nats-io/transport-node";
import { isAtLeast, MINIMUM_NATS_SERVER } from "./server-binary.ts";

/** The server is older than what the streams need. Exit code 2: somebody has to install another. */
export class ServerTooOld extends Error {
  override readonly name = "ServerTooOld";
  readonly exitCode = 2;
}

/** The version of the server, if that is too old; undefined: it will do, or is not known. */
export function tooOldVersion(nc: NatsConnection): string | undefined {
  const version = nc.info?.version;
  return version === undefined || isAtLeast(version, MINIMUM_NATS_SERVER) ? undefined : version;
}

/** @throws {ServerTooOld} */
export function requireServerVersion(nc: NatsConnection): void {
  const version = tooOldVersion(nc);
  if (version === undefined) return;
  throw new ServerTooOld(
    `nats-server at ${nc.getServer()} is ${version}, ${MINIMUM_NATS_SERVER} or newer is needed (atomic batches): go install github.com/nats-io/nats-server/v2@v${MINIMUM_NATS_SERVER}`,
  );
}
