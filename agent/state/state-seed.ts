import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { parseStateSubject, statesOf } from "../../shared/consistency/state/state-keys.ts";
import {
  decodeStored,
  generationOf,
  type StateCheckpoint,
  storedState,
} from "../../shared/consistency/state/stored-state.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import { readStateCheckpoint } from "../../shared/follow/read-state.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { apiPrefix } from "../../shared/nats/jetstream-api.ts";
import { stateConsumer } from "../../shared/nats/server-rights.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { ALL_DOMAINS, followsDomain } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { parseLogPosition } from "../../shared/protocol/reign.ts";
import { SUBJECT } from "../../shared/protocol/subjects.ts";
import { keyOf } from "./contract-keys.ts";
import type { ForeignState } from "./state-run.ts";

export interface SeedSource {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  /** JetStream domain of the server that has the states; undefined: the node's own. */
  readonly domain?: string;
  /** A fixed consumer name where rights name it. */
  readonly consumerName?: string;
}

const HUB_TIMEOUT_MS = 5000;
const LOOK_AGAIN_MS = 1000;

/** The hub's states, as a leaf may read them. */
export function hubStates(
  nc: NatsConnection,
  leaf: string,
  inboxPrefix: string,
  hubDomain: string,
): SeedSource {
  return { nc, inboxPrefix, domain: hubDomain, consumerName: stateConsumer(leaf) };
}

/** The index that a hub's log begins at; undefined: it is empty. */
export async function firstIndexOf({ nc, domain }: SeedSource): Promise<number | undefined> {
  const options = { prefix: apiPrefix(domain), timeoutMs: HUB_TIMEOUT_MS };
  const query = { seq: 1, next_by_subj: SUBJECT.allEvents };
  return positionOf(await getMessage(nc, STREAM.events, query, options))?.index;
}

export type SeedCheckpoint =
  | { readonly kind: "there"; readonly checkpoint: StateCheckpoint }
  /** It keeps none of these domains, or makes them by another contract. */
  | { readonly kind: "none"; readonly reason: string };

/**
 * How far the hub's states have come, when that is far enough: all that the node folded, and all before the log's start.
 * Waits for it, as the hub's own folder may be behind.
 */
export async function awaitSeed(
  source: SeedSource,
  wanted: {
    readonly domains: readonly string[];
    readonly contracts: Readonly<Record<string, string>>;
    /** Log index that must be in. */
    readonly index: number;
  },
  signal: AbortSignal,
): Promise<SeedCheckpoint> {
  for (;;) {
    signal.throwIfAborted();
    const options = { prefix: apiPrefix(source.domain), timeoutMs: HUB_TIMEOUT_MS };
    const checkpoint = await readStateCheckpoint(source.nc, options);
    if (!checkpoint) return { kind: "none", reason: "the hub keeps no states" };
    const lacking = wanted.domains.filter((one) => !followsDomain(checkpoint.domains, one));
    if (lacking.length > 0)
      return { kind: "none", reason: `the hub keeps no states of ${lacking.join(", ")}` };
    const other = wanted.domains.filter(
      (one) => keyOf(checkpoint.contracts, one) !== keyOf(wanted.contracts, one),
    );
    if (other.length > 0)
      return { kind: "none", reason: `the hub's states of ${other.join(", ")} are of another contract` };
    const at = parseLogPosition(checkpoint.log ?? undefined)?.index ?? 0;
    if (at >= wanted.index) return { kind: "there", checkpoint };
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

/**
 * All present states of some domains. What is written while it reads is given as it is then.
 * @param upTo only those with no event beyond that log index
 */
export async function* storedStates(
  source: SeedSource,
  checkpoint: StateCheckpoint,
  domains: readonly string[],
  upTo = Number.POSITIVE_INFINITY,
): AsyncGenerator<ForeignState> {
  const { nc, inboxPrefix, domain, consumerName } = source;
  const generations = new Set(Object.values(checkpoint.generations));
  const filters = domains.includes(ALL_DOMAINS)
    ? [...generations].map((one) => statesOf(one))
    : domains.map((one) => statesOf(generationOf(checkpoint, one), one));
  await using reader = await new StreamReader({
    nc,
    inboxPrefix,
    stream: STREAM.state,
    startSeq: 1,
    filters,
    ...(domain !== undefined && { domain }),
    ...(consumerName !== undefined && { consumerName }),
    timeoutMs: HUB_TIMEOUT_MS,
  }).start();
  for await (const messages of reader.backlog(Number.MAX_SAFE_INTEGER, 500)) {
    for (const { subject, body } of messages) {
      const of = parseStateSubject(subject);
      if (!of || body.byteLength === 0 || of.generation !== generationOf(checkpoint, of.domain)) continue;
      if (upTo < Number.POSITIVE_INFINITY) {
        const at = parseLogPosition(decodeStored(storedState, body)?.log);
        if (!at || at.index > upTo) continue;
      }
      yield { ...of, body };
    }
  }
}
