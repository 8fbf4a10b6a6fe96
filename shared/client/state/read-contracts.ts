import type { NatsConnection } from "@nats-io/transport-node";
import type { Contracts } from "../../consistency/contract/contract.ts";
import { CONTRACTS_METADATA, decodeContracts } from "../../consistency/contract/published-contracts.ts";
import { jetStreamApi } from "../../nats/jetstream-api.ts";
import { STREAM } from "../../protocol/names.ts";
import { StateUnavailable } from "./aggregate-state.ts";

interface OutboxInfo {
  readonly config: { readonly metadata?: Readonly<Record<string, string>> };
}

/** How the node's domains replicate, as its daemon has published it. @throws {StateUnavailable}, or the client's error */
export async function readContracts(nc: NatsConnection, timeoutMs: number): Promise<Contracts> {
  const request = `STREAM.INFO.${STREAM.outbox}`;
  const { config } = await jetStreamApi<OutboxInfo>(nc, request, undefined, { timeoutMs });
  const contracts = decodeContracts(config.metadata?.[CONTRACTS_METADATA]);
  if (contracts) return contracts;
  throw new StateUnavailable(
    "the node's contracts are of a newer build: upgrade the package cim of this program",
  );
}
