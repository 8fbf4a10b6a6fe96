import type { NatsConnection } from "@nats-io/transport-node";
import type { ConflictVersion, JournalledConflict } from "../coordinator/conflicts/conflict-record.ts";
import { connectCim, EventRejected } from "../shared/client/connect-cim.ts";
import { findInStream } from "../shared/client/scan-stream.ts";
import { readContracts } from "../shared/client/state/read-contracts.ts";
import { contractFor } from "../shared/consistency/contract/contract.ts";
import { getMessage } from "../shared/nats/get-message.ts";
import { loggedEvent } from "../shared/protocol/logged-event.ts";
import { HEADER, STREAM } from "../shared/protocol/names.ts";
import { parseLogPosition } from "../shared/protocol/reign.ts";
import { RESOLUTION_TYPES } from "../shared/protocol/resolutions.ts";
import { EVENTS_PREFIX } from "../shared/protocol/subjects.ts";
import { dataFor, removalFor } from "./conflict-data.ts";
import { isMeant } from "./event-words.ts";
import { CommandFailure, usage } from "./failure.ts";
import type { CoordinatorOptions } from "./find-fleet.ts";
import { type ConnectionOptions, connectNode } from "./node-connection.ts";
import { readState } from "./state.ts";
import { userOf } from "./user-options.ts";

export type SettleOptions = CoordinatorOptions & ConnectionOptions & { json?: boolean };

/** What is to stand in the place of both versions. */
export type Choice = { readonly how: "reinstated" | "resolved" } & (
  | { readonly value: unknown }
  /** `winner`, `loser`, or an event's id or its end. */
  | { readonly take: string }
);

/** The event that settled it, on the node that it was written on. */
export interface Settled {
  readonly node: string;
  readonly event: string;
  readonly seq: number;
}

const TIMEOUT_MS = 5_000;

/**
 * Appends an event that has seen all that the aggregate's state is made of, both versions with it: wherever it comes to, it
 * stands in their place.
 *
 * @throws CommandFailure it can't be settled so, or not on that node
 */
export async function settle(
  conflict: JournalledConflict,
  choice: Choice,
  options: SettleOptions,
): Promise<Settled> {
  const { id, domain, aggregate, log } = conflict;
  await using node = await connectNode(options, "cim conflicts");
  await using cim = await connectCim({ url: node.url, name: "cim conflicts", ...userOf(options) });
  const state = await readState(cim, domain, aggregate);
  if (indexOf(state.position) < indexOf(log))
    throw new CommandFailure(
      `${cim.node} does not have both versions yet: it is at ${state.position ?? "nothing"} of ${domain}.${aggregate}; wait, or write on the hub`,
    );
  const data = await dataOf(node.nc, conflict, choice);
  try {
    const appended = await cim.append({
      domain,
      aggregate,
      type: RESOLUTION_TYPES[choice.how],
      data,
      seen: state.version,
      headers: { [HEADER.resolves]: id },
    });
    return { node: appended.node, event: appended.id, seq: appended.seq };
  } catch (error) {
    if (error instanceof EventRejected) throw usage(error.message);
    throw error;
  }
}

async function dataOf(nc: NatsConnection, conflict: JournalledConflict, choice: Choice): Promise<unknown> {
  const contract = contractFor(await readContracts(nc, TIMEOUT_MS), conflict.domain);
  if (contract.module !== null)
    throw new CommandFailure(
      `${conflict.domain} has a module of its own, which alone knows what its events' data means: append an event of its kind, with seen`,
    );
  const { path } = conflict;
  if (!("take" in choice)) return dataFor(path, choice.value, contract);
  const version = versionOf(conflict, choice.take);
  if (isRemoval(conflict, version)) return removalFor(path, version.value, contract);
  if (version.cutBytes !== undefined) return dataFor(path, await longValue(nc, conflict, version), contract);
  if (version.value === undefined)
    throw new CommandFailure(
      `${version.event} wrote something around ${path.join(".")}, and nothing at that place: write --data <json>`,
    );
  return dataFor(path, version.value, contract);
}

function versionOf({ winner, loser, id }: JournalledConflict, take: string): ConflictVersion {
  const named = { winner, loser }[take];
  const version = named ?? [winner, loser].find((one) => one && isMeant(one.event, take));
  if (version) return version;
  if (take === "winner" || take === "loser") throw usage(`${id} has no ${take}: write --data <json>`);
  throw usage(`--take: ${id} has no version "${take}"; write winner, loser or the end of one's event id`);
}

/** A delete has no value, or of a set the element that it would have taken away. */
function isRemoval({ kind, loser, rule }: JournalledConflict, version: ConflictVersion): boolean {
  if (version.value === null) return true;
  if (version.cutBytes !== undefined) return false;
  if (kind === "merged" && version === loser) return rule.includes("wins over delete");
  return version.value === undefined && kind !== "lost";
}

/** What the journal did not keep, from the event itself. */
async function longValue(
  nc: NatsConnection,
  { domain, aggregate, path }: JournalledConflict,
  { event }: ConflictVersion,
): Promise<unknown> {
  const filter = `${EVENTS_PREFIX}${domain}.${aggregate}.*`;
  const part = { nc, stream: STREAM.events, filter, from: 1, timeoutMs: TIMEOUT_MS };
  const seq = await findInStream(part, (message) =>
    loggedEvent(message)?.id === event ? message.seq : undefined,
  );
  const message = seq === undefined ? undefined : await getMessage(nc, STREAM.events, { seq });
  if (!message)
    throw new CommandFailure(
      `the value is too long for the journal, and the log has forgotten event ${event}`,
    );
  let value: unknown = JSON.parse(Buffer.from(message.body).toString("utf8"));
  for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
  return value;
}

const indexOf = (position: string | null): number => parseLogPosition(position ?? undefined)?.index ?? 0;
