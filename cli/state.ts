import { styleText } from "node:util";
import type { Command } from "commander";
import { type AggregateState, connectCim, StateUnavailable } from "../shared/client/connect-cim.ts";
import { printable } from "./event-words.ts";
import { CommandFailure, usage } from "./failure.ts";
import { findNode, withNodeOptions } from "./find-fleet.ts";
import type { ConnectionOptions } from "./node-connection.ts";
import { counted } from "./quantity-words.ts";
import { registerStateRebuild } from "./state-rebuild.ts";
import { registerStateStatus } from "./state-status.ts";
import { userOf, withUserOptions } from "./user-options.ts";

type StateOptions = ConnectionOptions & { json?: boolean };

/** `cim state …` */
export function register(program: Command): void {
  const state = program
    .command("state")
    .description("What the events of an aggregate come to on a node.")
    .helpCommand(false);
  withUserOptions(withNodeOptions(state.command("get <domain> <aggregate>")))
    .summary("an aggregate's value, and what of it is not settled")
    .description(
      "Prints an aggregate's value as a node knows it, its own events that are not in the log yet included. Exits 1 when there is none.",
    )
    .option("--json", "print one JSON document")
    .action(get);
  registerStateStatus(state);
  registerStateRebuild(state);
}

async function get(domain: string, aggregate: string, options: StateOptions): Promise<void> {
  const { url } = await findNode(options);
  await using cim = await connectCim({ url, name: "cim state get", ...userOf(options) });
  const state = await readState(cim, domain, aggregate);
  if (options.json) process.stdout.write(`${JSON.stringify({ node: cim.node, ...state })}\n`);
  const isThere = state.position !== null || state.provisional > 0;
  if (!isThere && options.json) process.exitCode = 1;
  else if (!isThere) throw new CommandFailure(`${cim.node} knows no event of ${domain}.${aggregate}`);
  else if (!options.json) process.stdout.write(`${stateLines(state).join("\n")}\n`);
}

/** @throws CommandFailure */
export async function readState(
  cim: Pick<Awaited<ReturnType<typeof connectCim>>, "state">,
  domain: string,
  aggregate: string,
): Promise<AggregateState> {
  try {
    return await cim.state(domain, aggregate);
  } catch (error) {
    if (error instanceof TypeError) throw usage(error.message);
    if (error instanceof StateUnavailable) throw new CommandFailure(error.message, 1, { cause: error });
    throw error;
  }
}

/** The value as JSON, then what is to be known about it. */
function stateLines({ value, deleted, siblings, provisional, position, complete }: AggregateState): string[] {
  const notes = siblings.map(({ path, versions }) => {
    const shown = versions.map(({ value, node }) => `${printable(JSON.stringify(value))} of ${node}`);
    return `${path.length === 0 ? "all of it" : path.join(".")} has versions side by side: ${shown.join(", ")}`;
  });
  if (deleted) notes.push("it is deleted");
  if (provisional > 0) notes.push(`${counted(provisional, "event")} of it not in the log yet`);
  if (!complete) notes.push("this node does not have all of its events: older ones may be missing in it");
  notes.push(position === null ? "nothing of it is in the log yet" : `as of ${position} in the log`);
  return [JSON.stringify(value, null, 2), ...notes.map((note) => styleText("dim", note))];
}
