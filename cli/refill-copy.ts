import { askNode } from "../shared/nats/ask-node.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { isNodeName, NODE_NAME_RULE } from "../shared/protocol/names.ts";
import { type ProofRequest, proofReply } from "../shared/protocol/proof-messages.ts";
import { controlSubject } from "../shared/protocol/subjects.ts";
import { CommandFailure, usage } from "./failure.ts";
import { connectHub, type HubAccessOptions } from "./hub-access.ts";

const TIMEOUT_MS = 15_000;

/** Has a node let go of its copy and fill it again. @throws CommandFailure */
export async function refillCopy(node: string, options: HubAccessOptions): Promise<void> {
  if (!isNodeName(node)) throw usage(`--repair: "${node}" is not a node's name; write ${NODE_NAME_RULE}`);
  const nc = await connectHub(options, "cim verify --repair");
  try {
    const request = JSON.stringify({ op: "refill" } satisfies ProofRequest);
    const answer = await askNode(nc, node, controlSubject(node, "proof"), request, { timeoutMs: TIMEOUT_MS });
    const reply = proofReply.parse(answer.json());
    if (reply.kind !== "refilling")
      throw new CommandFailure(
        `${node} does not fill its copy again: ${reply.kind === "none" ? reply.reason : reply.kind}`,
      );
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(`${node} does not answer (${errorText(cause)}): see cim nodes show ${node}`, 1, {
      cause,
    });
  } finally {
    await nc.close();
  }
}
