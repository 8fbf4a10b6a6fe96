import type { NatsConnection } from "@nats-io/transport-node";
import { type Config, ContractChangeRefused } from "../config/index.ts";
import type { Contracts } from "../consistency/contract/contract.ts";
import { refusedChanges } from "../consistency/contract/contract-change.ts";
import { CONTRACTS_METADATA } from "../consistency/contract/published-contracts.ts";
import { getMessage } from "../nats/get-message.ts";
import { jetStreamApi, type StreamState, unlessMissing } from "../nats/jetstream-api.ts";
import { readNodeContracts } from "../nats/node-contracts.ts";
import { STREAM } from "../protocol/names.ts";
import { domainFilter, SUBJECT } from "../protocol/subjects.ts";

/** The contracts that a node had are written in a way that this build does not know. `message` is one line. */
export class ContractsUnreadable extends Error {
  override readonly name = "ContractsUnreadable";

  constructor(node: string) {
    super(
      `what ${node} was promised before can't be read: ${CONTRACTS_METADATA} in the metadata of ${STREAM.outbox} is of a newer build; run that build, or take the entry out and check that no contract changes`,
    );
  }
}

/**
 * Whether a node may go over to these contracts from those it had: what it had is in its outbox's metadata, where its
 * programs read it. Of a domain that has no event here nothing can be lost, and any contract may be declared.
 *
 * @throws ContractChangeRefused, ContractsUnreadable, or what JetStream or the connection says
 */
export async function requireContractChange(
  nc: NatsConnection,
  config: Pick<Config, "node" | "contracts">,
  after: Contracts,
): Promise<void> {
  const before = await readNodeContracts(nc);
  // Of a newer build, or nobody's: not understood, hence not to be overwritten either.
  if (before === "unreadable") throw new ContractsUnreadable(config.node);
  if (before === undefined) return;
  const replaces = Object.fromEntries(
    Object.entries(config.contracts).map(([domain, contract]) => [domain, contract.replaces]),
  );
  const refused = refusedChanges(before, after, replaces);
  const withEvents = new Set<string>();
  for (const domain of new Set(refused.map((change) => change.domain))) {
    if (await hasEvents(nc, domain)) withEvents.add(domain);
  }
  const left = refused.filter(({ domain }) => withEvents.has(domain));
  if (left.length > 0) throw new ContractChangeRefused(config.node, left);
}

async function hasEvents(nc: NatsConnection, domain: string): Promise<boolean> {
  for (const stream of [STREAM.outbox, STREAM.events]) {
    const here = domain === "*" ? await hasAny(nc, stream) : await hasOfDomain(nc, stream, domain);
    if (here) return true;
  }
  return false;
}

async function hasOfDomain(nc: NatsConnection, stream: string, domain: string): Promise<boolean> {
  const info = await unlessMissing(jetStreamApi(nc, `STREAM.INFO.${stream}`, undefined));
  return (
    info !== undefined && (await getMessage(nc, stream, { last_by_subj: domainFilter(domain) })) !== undefined
  );
}

/** Any but the log's own records. */
async function hasAny(nc: NatsConnection, stream: string): Promise<boolean> {
  const request = { subjects_filter: SUBJECT.controlRecords };
  const info = await unlessMissing(
    jetStreamApi<{ state: StreamState & { subjects?: Record<string, number> } }>(
      nc,
      `STREAM.INFO.${stream}`,
      request,
    ),
  );
  if (!info) return false;
  const records = Object.values(info.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  return info.state.messages > records;
}
