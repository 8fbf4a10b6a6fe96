import { NodeState, type NodeStateInit } from "../agent/state/node-state.ts";
import type { DaemonFrame } from "../shared/daemon/daemon-frame.ts";

/**
 * The hub's own states, kept by whichever coordinator leads.
 * @param frame connected before the first `keep`
 * @param also who is told of every conflict that the log's events meet, before what follows from them is stored; and when
 * folding is to wait for the log
 */
export function ownState(
  frame: DaemonFrame,
  also: Pick<NodeStateInit, "onConflicts" | "holdBack">,
): NodeState {
  const { server, conditions, metrics, log } = frame;
  return new NodeState({
    nc: () => server.nc,
    contracts: () => server.contracts,
    conditions,
    metrics,
    log: log.child({ part: "state" }),
    ...also,
  });
}
