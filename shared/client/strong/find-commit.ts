import type { NatsConnection } from "@nats-io/transport-node";
import { streamState, unlessMissing } from "../../nats/jetstream-api.ts";
import { loggedEvent } from "../../protocol/logged-event.ts";
import { STREAM } from "../../protocol/names.ts";
import { EVENTS_PREFIX } from "../../protocol/subjects.ts";
import type { FindOptions, Found } from "../find-event.ts";
import { findInStream } from "../scan-stream.ts";

/**
 * Searches a strong domain's events for an id, in the node's log or copy: they are in no outbox. A copy may be
 * behind and a commit on its way, so "not found" is never certain; appending again with the same id tells for sure.
 */
export async function findCommit(
  nc: NatsConnection,
  node: string,
  id: string,
  { domain = "*", aggregate, timeoutMs = 5_000 }: FindOptions,
): Promise<Found> {
  const state = await unlessMissing(streamState(nc, STREAM.events, { timeoutMs }));
  const notFound: Found = { found: false, node, from: 1, upTo: state?.last_seq ?? 0, complete: false };
  if (!state) return notFound;
  const filter = `${EVENTS_PREFIX}${domain}.${aggregate === undefined ? ">" : `${aggregate}.*`}`;
  const origin = await findInStream({ nc, timeoutMs, filter, stream: STREAM.events, from: 1 }, (message) => {
    const event = loggedEvent(message);
    return event?.id === id ? event.origin : undefined;
  });
  return origin ? { found: true, node: origin.node, seq: origin.seq } : notFound;
}
