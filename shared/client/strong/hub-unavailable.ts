import type { NodeCondition } from "../append-errors.ts";

/**
 * A strong domain's events are stored by the hub, and it could not be asked, or did not answer. Said at once while the node's
 * link is down; events of other domains are appended all the same.
 */
export class HubUnavailable extends Error {
  override readonly name = "HubUnavailable";
  readonly node: string;
  /**
   * `not-stored`: nothing was. `unknown`: it may have been; append again with the same id within two minutes and what was
   * stored is found again instead of being doubled.
   */
  readonly outcome: "not-stored" | "unknown";
  /** What the node's agent says is wrong, where it could be asked. */
  readonly conditions: readonly NodeCondition[];
  readonly eventIds: readonly string[];

  constructor(
    node: string,
    fault: Pick<HubUnavailable, "outcome" | "eventIds"> & {
      readonly reason: string;
      readonly conditions?: readonly NodeCondition[];
    },
  ) {
    const { reason, outcome, eventIds, conditions = [] } = fault;
    const what =
      outcome === "unknown"
        ? "it may be stored: append it again with the same id to find out"
        : "nothing was stored";
    super(`the hub can't be asked by ${node} (${reason}): ${what}`);
    this.node = node;
    this.outcome = outcome;
    this.conditions = conditions;
    this.eventIds = eventIds;
  }
}
