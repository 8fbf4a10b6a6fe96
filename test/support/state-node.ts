import type { NatsConnection } from "@nats-io/transport-node";
import pino from "pino";
import { StateKeeper, type StateKeeperInit, type StateSettings } from "../../agent/state/state-keeper.ts";
import { type Contracts, USUAL_CONTRACT } from "../../shared/consistency/contract/contract.ts";
import {
  contractsFrom,
  type DeclaredContract,
} from "../../shared/consistency/contract/declared-contracts.ts";
import { parseStateSubject } from "../../shared/consistency/state/state-keys.ts";
import { decodeStored, type StoredState, storedState } from "../../shared/consistency/state/stored-state.ts";
import { readState, readStateCheckpoint } from "../../shared/follow/read-state.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { streamState, unlessMissing } from "../../shared/nats/jetstream-api.ts";
import { Conditions } from "../../shared/observe/conditions.ts";
import { Metrics } from "../../shared/observe/metrics.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "./eventually.ts";

/** Contracts that are declared; all else is last-write-wins. */
export const contractsOf = (declared: Record<string, DeclaredContract>): Contracts =>
  contractsFrom(
    { mode: USUAL_CONTRACT.mode, conflictResolution: USUAL_CONTRACT.resolver },
    declared,
    () => "",
  );

/** A counter of what was added up: twice folded shows. */
export const COUNTED = contractsOf({ person: { resolver: "crdt", fields: { n: "counter" } } });

export interface StateNode extends AsyncDisposable {
  readonly keeper: StateKeeper;
  readonly conditions: Conditions;
}

/** A node's states, kept without the rest of its daemon. */
export function startStates(
  nc: NatsConnection,
  options: Partial<Pick<StateKeeperInit, "contracts" | "onConflicts">> & {
    readonly settings?: Partial<StateSettings>;
  } = {},
): StateNode {
  const conditions = new Conditions();
  const keeper = new StateKeeper({
    nc,
    settings: {
      node: "hub",
      role: "hub",
      nats: { hubDomain: "hub", maxPayload: 1024 * 1024 },
      state: { domains: ["*"] },
      cacheSize: 1000,
      snapshotInterval: 100,
      ...options.settings,
    },
    contracts: options.contracts ?? COUNTED,
    conditions,
    metrics: new Metrics({ by: ["agent"], process: false }),
    log: pino({ level: process.env.CIM_TEST_LOG ?? "silent" }),
    ...(options.onConflicts && { onConflicts: options.onConflicts }),
  });
  keeper.start();
  return { keeper, conditions, [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose]() };
}

/** Resolves when everything that the node's log or copy has is in its states. */
export async function folded(nc: NatsConnection): Promise<void> {
  await eventually(
    async () => {
      const { last_seq } = await streamState(nc, STREAM.events);
      const checkpoint = await readStateCheckpoint(nc);
      return checkpoint !== undefined && checkpoint.seq >= last_seq;
    },
    { what: "all is folded" },
  );
}

/** An aggregate's state as it is stored; undefined: none is. */
export async function stateOf(
  nc: NatsConnection,
  aggregate: string,
  domain = "person",
): Promise<StoredState | undefined> {
  const read = await readState(nc, domain, aggregate);
  return read.kind === "found" ? read.state : undefined;
}

/** Every present state of a node: what a program reads, by domain and aggregate. */
export async function allStates(nc: NatsConnection): Promise<Map<string, StoredState>> {
  const states = new Map<string, StoredState>();
  if (!(await unlessMissing(streamState(nc, STREAM.state)))) return states;
  const checkpoint = await readStateCheckpoint(nc);
  const query = { seq: 1, next_by_subj: "$KV.CIM_STATE.>" };
  for (const { subject, body } of await getMessages(nc, STREAM.state, query, { inboxPrefix: "_INBOX" })) {
    const of = parseStateSubject(subject);
    const state = of && decodeStored(storedState, body);
    if (!of || !state || !checkpoint) continue;
    const { generations } = checkpoint;
    if ((generations[of.domain] ?? generations["*"]) === of.generation)
      states.set(`${of.domain}.${of.aggregate}`, state);
  }
  return states;
}
