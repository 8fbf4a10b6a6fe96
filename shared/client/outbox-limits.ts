import type { NatsConnection } from "@nats-io/transport-node";
import { CONTRACTS_METADATA, decodeContracts } from "../consistency/contract/published-contracts.ts";
import { JetStreamRefused, jetStreamApi } from "../nats/jetstream-api.ts";
import { errorText } from "../protocol/error-text.ts";
import { OLDEST_PROTOCOL, PROTOCOL_METADATA, PROTOCOL_VERSION } from "../protocol/messages.ts";
import { STREAM } from "../protocol/names.ts";
import { ClientTooOld, NodeTooOld, StoreUnavailable } from "./append-errors.ts";
import type { AppendLimits } from "./event-to-append.ts";

/**
 * What the node's outbox takes, if client and node understand each other.
 *
 * @throws {ClientTooOld} {NodeTooOld} {StoreUnavailable} there is no outbox, or it can't be looked at
 */
export async function outboxLimits(
  nc: NatsConnection,
  node: string,
  timeoutMs: number,
): Promise<AppendLimits> {
  const maxPayload = nc.info?.max_payload ?? Number.MAX_SAFE_INTEGER;
  const { max_msg_size, metadata } = await outboxConfig(nc, node, timeoutMs);
  // Without the entry it is of a build from before there was one, which speaks version 1.
  const fault = protocolFault(node, Number(metadata?.[PROTOCOL_METADATA] ?? 1));
  if (fault) throw fault;
  const maxMessage = max_msg_size < 0 ? maxPayload : max_msg_size;
  const contracts = decodeContracts(metadata?.[CONTRACTS_METADATA]);
  if (!contracts) {
    const reason = `its contracts (${CONTRACTS_METADATA} of ${STREAM.outbox}) can't be read by this client: upgrade the package cim of this program`;
    throw new StoreUnavailable(node, { reason, outcome: "not-stored" });
  }
  return { eventBytes: Math.min(maxPayload, maxMessage), node, contracts };
}

/**
 * A node that speaks more than this client knows may mean something else by what this client writes; one that speaks less
 * than this client needs would not understand it. In between, the client uses nothing that the node does not have. Pure.
 */
export function protocolFault(
  node: string,
  theirs: number,
  own = { newest: PROTOCOL_VERSION, oldest: OLDEST_PROTOCOL },
): ClientTooOld | NodeTooOld | undefined {
  if (theirs > own.newest) return new ClientTooOld(node, theirs, own.newest);
  if (theirs < own.oldest) return new NodeTooOld(node, theirs, own.oldest);
  return undefined;
}

interface OutboxConfig {
  readonly max_msg_size: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

async function outboxConfig(nc: NatsConnection, node: string, timeoutMs: number): Promise<OutboxConfig> {
  try {
    const request = `STREAM.INFO.${STREAM.outbox}`;
    const { config } = await jetStreamApi<{ config: OutboxConfig }>(nc, request, undefined, { timeoutMs });
    return config;
  } catch (cause) {
    const missing = cause instanceof JetStreamRefused && cause.code === 404;
    const reason = missing
      ? `it has no ${STREAM.outbox}; cim-agent, or cim-coordinator on a hub, makes one when it runs there`
      : `${STREAM.outbox} can't be looked at: ${errorText(cause)}`;
    throw new StoreUnavailable(node, { reason, outcome: "not-stored" }, { cause });
  }
}
