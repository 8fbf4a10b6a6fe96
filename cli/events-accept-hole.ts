import type { Command } from "commander";
import { askNode } from "../shared/nats/ask-node.ts";
import { connectNats } from "../shared/nats/connect.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { acceptHoleRequest } from "../shared/protocol/messages.ts";
import { isNodeName, NODE_NAME_RULE } from "../shared/protocol/names.ts";
import { controlSubject } from "../shared/protocol/subjects.ts";
import { CommandFailure, usage } from "./failure.ts";
import { hubAccess } from "./hub-access.ts";
import { wholeNumber } from "./number-option.ts";

type AcceptHoleOptions = {
  node?: string;
  after: string;
  before: string;
  dir?: string;
  server?: string;
  seedFile?: string;
  json?: boolean;
};

const TIMEOUT_MS = 5_000;

export function registerEventsAcceptHole(events: Command): void {
  events
    .command("accept-hole [node]")
    .summary("accept by name that events of a node are gone")
    .description(
      "Accepts by name that events of a node are gone: those after one sequence of its outbox and before another. The log then goes on behind them.",
    )
    .option("--node <node>", "the node, in the place of the argument")
    .requiredOption("--after <seq>", "the last event before the hole, 0 for none")
    .requiredOption("--before <seq>", "the first event behind it")
    .option("--dir <folder>", "a lab's folder: its hub's key is used")
    .option("--server <url>", "the hub's nats-server (or CIM_NATS_URL)")
    .option("--seed-file <file>", "the nkey seed of the hub's agent (nats.agentSeedFile)")
    .option("--json", "print the result as one JSON document")
    .action(acceptHole);
}

async function acceptHole(named: string | undefined, options: AcceptHoleOptions): Promise<void> {
  const node = named ?? options.node;
  if (node === undefined) {
    throw usage("events accept-hole: whose events; write the node, as cim events accept-hole leaf1 …");
  }
  if (options.node !== undefined && options.node !== node)
    throw usage(`--node ${options.node} and ${node} are two nodes; write one of them`);
  if (!isNodeName(node)) throw usage(`"${node}" is not a node's name; write ${NODE_NAME_RULE}`);
  const after = wholeNumber(options.after, "--after", 0);
  const before = wholeNumber(options.before, "--before");
  if (before <= after + 1) {
    throw usage(
      `--before ${before} leaves no hole after ${after}; write the first event that is there again`,
    );
  }
  const { url, seedFile } = await hubAccess(options, "events accept-hole");
  const nc = await connectNats({
    url,
    seedFile,
    name: "cim events accept-hole",
    firstConnectTimeoutMs: TIMEOUT_MS,
  });
  let accepted: boolean;
  try {
    const request = JSON.stringify(acceptHoleRequest.parse({ after, before }));
    const answer = await askNode(nc, node, controlSubject(node, "accept-hole"), request, {
      timeoutMs: TIMEOUT_MS,
    });
    accepted = answer.json<{ accepted?: unknown }>().accepted === true;
  } catch (cause) {
    const why = errorText(cause);
    throw new CommandFailure(`${node} does not answer (${why}): see cim nodes show ${node}`, 1, { cause });
  } finally {
    await nc.close();
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ node, after, before, accepted })}\n`);
  else if (accepted)
    process.stdout.write(`${node}: the events after ${after} and before ${before} are accepted as gone\n`);
  if (accepted) return;
  throw new CommandFailure(
    `${node} misses no events after ${after} and before ${before}: see cim nodes show ${node}`,
  );
}
