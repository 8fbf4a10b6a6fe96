import type { NatsConnection } from "@nats-io/transport-node";
import type { Contracts } from "../consistency/contract/contract.ts";
import { CONTRACTS_METADATA, decodeContracts } from "../consistency/contract/published-contracts.ts";
import { STREAM } from "../protocol/names.ts";
import { type ApiOptions, jetStreamApi, unlessMissing } from "./jetstream-api.ts";

/**
 * The contracts that a node's daemon has published, from its outbox's metadata.
 * @returns undefined: there is no outbox, no daemon has run there; "unreadable": they are of a newer build
 * @throws JetStreamRefused, or the client's error when nothing answers in time
 */
export async function readNodeContracts(
  nc: NatsConnection,
  options: ApiOptions = {},
): Promise<Contracts | "unreadable" | undefined> {
  const info = await unlessMissing(
    jetStreamApi<{ config: { metadata?: Readonly<Record<string, string>> } }>(
      nc,
      `STREAM.INFO.${STREAM.outbox}`,
      undefined,
      options,
    ),
  );
  return info && (decodeContracts(info.config.metadata?.[CONTRACTS_METADATA]) ?? "unreadable");
}
