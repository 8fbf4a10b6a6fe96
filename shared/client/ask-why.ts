import type { NatsConnection } from "@nats-io/transport-node";
import { heartbeat } from "../protocol/messages.ts";
import { statusSubject } from "../protocol/subjects.ts";
import type { NodeCondition } from "./append-errors.ts";

const TIMEOUT_MS = 1500;

/** What the node's agent says is wrong with it; nothing when it is well or does not answer. */
export async function askWhy(nc: NatsConnection, node: string): Promise<readonly NodeCondition[]> {
  try {
    const answer = await nc.request(statusSubject(node), "", { timeout: TIMEOUT_MS });
    const { conditions } = heartbeat.parse(answer.json());
    return conditions.filter(({ severity }) => severity === "error");
  } catch {
    // No agent, no right to ask, or a node that has stopped answering altogether: the error says what is known.
    return [];
  }
}
