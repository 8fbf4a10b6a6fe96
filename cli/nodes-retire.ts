import type { Command } from "commander";
import { askNode } from "../shared/nats/ask-node.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { type RetireAnswer, retireAnswer, retireRequest } from "../shared/protocol/messages.ts";
import { isNodeName, NODE_NAME_RULE } from "../shared/protocol/names.ts";
import { controlSubject } from "../shared/protocol/subjects.ts";
import { CommandFailure, usage } from "./failure.ts";
import { connectHub, type HubAccessOptions } from "./hub-access.ts";

type RetireOptions = HubAccessOptions & { json?: boolean };

const TIMEOUT_MS = 5_000;

/** `cim nodes retire <node>` */
export function registerNodesRetire(nodes: Command): void {
  nodes
    .command("retire <node>")
    .summary("say that a node is gone for good")
    .description(
      "Says that a node is gone for good. What it wrote counts as seen by all that is written from then on, and states forget what was kept for it. Take it out of the hub's leaves first.",
    )
    .option("--dir <folder>", "a lab's folder: its hub's key is used")
    .option("--server <url>", "the hub's nats-server (or CIM_NATS_URL)")
    .option("--seed-file <file>", "the nkey seed of the hub's agent (nats.agentSeedFile)")
    .option("--json", "print the result as one JSON document")
    .action(async (node: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<RetireOptions>();
      if (!isNodeName(node)) throw usage(`"${node}" is not a node's name; write ${NODE_NAME_RULE}`);
      const { retired, reason } = await retire(node, options);
      if (!retired) throw new CommandFailure(reason ?? `${node} was not retired`);
      process.stdout.write(options.json ? `${JSON.stringify({ node, retired })}\n` : `${node} is retired\n`);
    });
}

async function retire(node: string, options: RetireOptions): Promise<RetireAnswer> {
  const nc = await connectHub(options, "cim nodes retire");
  // A node's server bears its name.
  const hub = nc.info?.server_name ?? "hub";
  try {
    const request = JSON.stringify(retireRequest.parse({ node }));
    const answer = await askNode(nc, hub, controlSubject(hub, "retire"), request, { timeoutMs: TIMEOUT_MS });
    return retireAnswer.parse(answer.json());
  } catch (cause) {
    const why = errorText(cause);
    throw new CommandFailure(`no coordinator that leads answers on ${hub} (${why}): see cim status`, 1, {
      cause,
    });
  } finally {
    await nc.close();
  }
}
