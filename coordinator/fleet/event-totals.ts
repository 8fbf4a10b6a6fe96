import type { LogState } from "../sequencer/log-state.ts";
import type { Logged } from "../sequencer/plan-batch.ts";

/** How many events the log took, by domain and origin: read from the log, then counted on as batches are durable. */
export class EventTotals {
  #totals = new Map<string, Map<string, number>>();
  #refused = new Map<string, number>();

  restore(state: LogState): void {
    this.#totals = new Map([...state.totals].map(([domain, byNode]) => [domain, new Map(byNode)]));
    this.#refused = new Map(state.refusedTotals);
  }

  count(events: readonly Logged[], refused: readonly string[]): void {
    for (const { domain, node } of events) {
      let byNode = this.#totals.get(domain);
      if (!byNode) {
        byNode = new Map();
        this.#totals.set(domain, byNode);
      }
      byNode.set(node, (byNode.get(node) ?? 0) + 1);
    }
    for (const reason of refused) this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  *events(): Generator<readonly [{ domain: string; node: string }, number]> {
    for (const [domain, byNode] of this.#totals) {
      for (const [node, count] of byNode) yield [{ domain, node }, count];
    }
  }

  *refusals(): Generator<readonly [{ reason: string }, number]> {
    for (const [reason, count] of this.#refused) yield [{ reason }, count];
  }
}
