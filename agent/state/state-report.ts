import type { NatsConnection } from "@nats-io/transport-node";
import { POISONED_SUBJECTS } from "../../shared/consistency/state/state-keys.ts";
import { decodeStored, poisonedEvent } from "../../shared/consistency/state/stored-state.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { StateReport } from "../../shared/protocol/state-control.ts";
import type { StateSession } from "./state-session.ts";

const MOST_LISTED = 100;

/** How a node's states are, for whoever asks. */
export async function stateReport(
  nc: NatsConnection,
  inboxPrefix: string,
  session: StateSession | undefined,
  stopped: string | undefined,
): Promise<StateReport> {
  const checkpoint = session?.checkpoint;
  const { rebuild } = session ?? {};
  const listed = await getMessages(
    nc,
    STREAM.state,
    { seq: 1, next_by_subj: POISONED_SUBJECTS },
    { inboxPrefix },
  );
  const events = listed.slice(0, MOST_LISTED).flatMap(({ body }) => decodeStored(poisonedEvent, body) ?? []);
  return {
    stopped: stopped ?? (session ? null : "states are not folded at present: see the daemon's log"),
    log: checkpoint?.log ?? null,
    events: checkpoint?.events ?? 0,
    waiting: session?.waiting ?? 0,
    poisoned: { count: checkpoint?.poisoned ?? 0, events },
    missingBefore: checkpoint?.missingBefore ?? 0,
    rebuilding: session?.rebuilding ?? false,
    rebuild: rebuild
      ? { domains: rebuild.checkpoint.domains, generation: rebuild.generation, ...rebuild.progress }
      : null,
    generations: checkpoint?.generations ?? {},
  };
}
