import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import type { Contracts } from "../../shared/consistency/contract/contract.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Log } from "../../shared/observe/log.ts";
import type { Metrics } from "../../shared/observe/metrics.ts";
import { contractKeys } from "./contract-keys.ts";
import { StateKeeper, type StateKeeperInit } from "./state-keeper.ts";

export interface NodeStateInit extends Pick<StateKeeperInit, "onConflicts" | "holdBack"> {
  readonly nc: () => NatsConnection;
  readonly contracts: () => Contracts;
  readonly conditions: Conditions;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** A node's states as its configuration asks for them: kept, kept otherwise from now on, or no longer. */
export class NodeState {
  readonly #init: NodeStateInit;
  #keeper: StateKeeper | undefined;
  /** By what the keeper was begun. */
  #begunBy = "";
  #turn: Promise<void> = Promise.resolve();

  constructor(init: NodeStateInit) {
    this.#init = init;
  }

  /** Sequence of the node's CIM_EVENTS up to which everything is folded; undefined: nothing is kept, or it is not known. */
  get foldedSeq(): number | undefined {
    return this.#keeper?.foldedSeq;
  }

  /** Keeps states by this configuration, when what was under way has ended; without one it ends. */
  keep(config: Config | undefined): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#change(config?.state.enabled ? config : undefined))
      .catch((error: unknown) => this.#init.log.error({ err: error }, "states are not kept"));
    return this.#turn;
  }

  async #change(config: Config | undefined): Promise<void> {
    const { nc, contracts: read, conditions, metrics, log, onConflicts, holdBack } = this.#init;
    const contracts = read();
    const begunBy = config ? decisive(config, contracts) : "";
    if (begunBy === this.#begunBy) return;
    this.#begunBy = "";
    await this.#keeper?.[Symbol.asyncDispose]();
    this.#keeper = undefined;
    if (!config) return;
    const keeper = new StateKeeper({
      nc: nc(),
      settings: config,
      contracts,
      conditions,
      metrics,
      log,
      ...(onConflicts && { onConflicts }),
      ...(holdBack && { holdBack }),
    });
    keeper.start();
    this.#keeper = keeper;
    this.#begunBy = begunBy;
  }
}

function decisive({ state, cacheSize, snapshotInterval }: Config, contracts: Contracts): string {
  return JSON.stringify([state, cacheSize, snapshotInterval, contractKeys(contracts)]);
}
