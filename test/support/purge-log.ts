import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { LogRetention, type LogRetentionInit } from "../../coordinator/retention/log-retention.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { createLog } from "../../shared/observe/log.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";

/**
 * Purges a hub's log as the coordinator does every hour, of all that its marks and its fence let go: with a retention that is over.
 * @param before makes what is done before something is let go of
 * @returns how many messages went
 */
export async function purgeLog(
  hub: LabNode,
  before?: (nc: NatsConnection) => Promise<NonNullable<LogRetentionInit["beforePurge"]>>,
): Promise<number> {
  const nc = await connectNats({
    url: hub.natsUrl,
    seedFile: join(hub.paths.data, "agent.nk"),
    name: "test retention",
    inboxPrefix: inboxPrefix("hub"),
  });
  try {
    const log = createLog({ name: "test", level: "error", node: "hub" });
    const init = { nc, inboxPrefix: inboxPrefix("hub"), retentionMs: 0, log };
    const beforePurge = await before?.(nc);
    return await new LogRetention({ ...init, ...(beforePurge && { beforePurge }) }).purge(Date.now() + 1000);
  } finally {
    await nc.close();
  }
}
