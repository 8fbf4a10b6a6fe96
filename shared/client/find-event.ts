import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import { JetStreamRefused, streamState } from "../nats/jetstream-api.ts";
import { StreamReader } from "../nats/stream-reader.ts";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { loggedEvent } from "../protocol/logged-event.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import { EVENTS_PREFIX, SUBJECT } from "../protocol/subjects.ts";

/** Where to look. The narrower, the less is read. */
export interface FindOptions {
  readonly domain?: string;
  readonly aggregate?: string;
  /** Only from this outbox sequence on, as of the last append that is known to be before it. Leaves out the log. */
  readonly fromSeq?: number;
  /** Of each request, ms. Default 5,000. */
  readonly timeoutMs?: number;
}

/** What a search for an event's id came to. */
export type Found =
  | { readonly found: true; readonly node: string; readonly seq: number }
  /**
   * Not among the outbox's events up to `upTo`. `complete` is false where events before `from` were trimmed and the node
   * keeps no log or copy that would have them.
   */
  | {
      readonly found: false;
      readonly node: string;
      readonly from: number;
      readonly upTo: number;
      readonly complete: boolean;
    };

/** Searches a node's outbox, and the log or copy for what was trimmed. */
export async function findEvent(
  nc: NatsConnection,
  node: string,
  id: string,
  options: FindOptions,
): Promise<Found> {
  const { timeoutMs = 5_000, fromSeq } = options;
  const filter = filterOf(options);
  const { messages, first_seq, last_seq: upTo } = await streamState(nc, STREAM.outbox, { timeoutMs });
  const first = messages === 0 ? upTo + 1 : first_seq;
  const from = Math.max(first, fromSeq ?? 1);
  const own = await search({ nc, timeoutMs, filter, stream: STREAM.outbox, from }, ({ headerText, seq }) =>
    headerValue(headerText, HEADER.msgId) === id ? seq : undefined,
  );
  if (own !== undefined) return { found: true, node, seq: own };
  if (first <= (fromSeq ?? 1)) return { found: false, node, from, upTo, complete: true };
  try {
    await streamState(nc, STREAM.events, { timeoutMs });
  } catch (error) {
    if (!(error instanceof JetStreamRefused) || error.code !== 404) throw error;
    return { found: false, node, from, upTo, complete: false };
  }
  const logged = await search({ nc, timeoutMs, filter, stream: STREAM.events, from: 1 }, (message) => {
    const event = loggedEvent(message);
    return event?.id === id && event.origin.node === node ? event.origin.seq : undefined;
  });
  if (logged !== undefined) return { found: true, node, seq: logged };
  return { found: false, node, from: 1, upTo, complete: true };
}

interface Search {
  readonly nc: NatsConnection;
  readonly stream: string;
  readonly filter: string;
  readonly from: number;
  readonly timeoutMs: number;
}

/** Reads headers up to what the stream has now, at most a few MiB of them at once. */
async function search(
  { nc, stream, filter, from, timeoutMs }: Search,
  match: (message: StoredMessage) => number | undefined,
): Promise<number | undefined> {
  const last = await getMessage(nc, stream, { last_by_subj: filter }, { timeoutMs });
  if (!last || last.seq < from) return undefined;
  const newest = match(last);
  if (newest !== undefined) return newest;
  const init = { nc, stream, startSeq: from, filters: [filter], headersOnly: true, timeoutMs };
  await using reader = await new StreamReader(init).start();
  for (;;) {
    for (const message of await reader.next()) {
      const found = match(message);
      if (found !== undefined) return found;
      if (message.seq >= last.seq) return undefined;
    }
  }
}

function filterOf({ domain, aggregate }: FindOptions): string {
  if (domain === undefined) return SUBJECT.allEvents;
  return aggregate === undefined ? `${EVENTS_PREFIX}${domain}.>` : `${EVENTS_PREFIX}${domain}.${aggregate}.*`;
}
