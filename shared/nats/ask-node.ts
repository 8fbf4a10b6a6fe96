import { type Msg, type NatsConnection, nuid, type Payload } from "@nats-io/transport-node";
import { nodeReplySubject } from "../protocol/subjects.ts";

/**
 * A request to a node over its link. The answer comes back under the node's own name, the only place where its link
 * lets it publish one (see `leafLinkRights`); the node answers with `respond` as always.
 *
 * @throws the client's errors: nobody listens there, or no answer within `timeoutMs`
 */
export async function askNode(
  nc: NatsConnection,
  node: string,
  subject: string,
  payload: Payload,
  options: { readonly timeoutMs: number },
): Promise<Msg> {
  const reply = nodeReplySubject(node, nuid.next());
  return await nc.request(subject, payload, { timeout: options.timeoutMs, noMux: true, reply });
}
