import type { Config } from "../../shared/config/index.ts";
import type { DaemonFrame } from "../../shared/daemon/daemon-frame.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { Conflicts } from "./conflicts.ts";
import { addConflictsApi } from "./conflicts-api.ts";

/** The journal of a hub, shown over its HTTP and in its metrics. @param config as it is now */
export function hubConflicts(frame: DaemonFrame, config: () => Config): Conflicts {
  const { server, metrics, conditions, log, http } = frame;
  const conflicts = new Conflicts({
    nc: () => server.nc,
    inboxPrefix: inboxPrefix(config().node),
    log: log.child({ part: "conflicts" }),
    onConflict: (of) => metrics.add("cim_conflicts_total", of),
    onStore: (error) => conditions.set(error !== undefined, "conflicts-not-written", { error: error ?? "" }),
  });
  addConflictsApi(http, conflicts, () => config().state.enabled);
  return conflicts;
}
