import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf } from "../../shared/follow/read-history.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { type Origin, parseOrigin } from "../../shared/protocol/origin.ts";
import { domainOf, SUBJECT } from "../../shared/protocol/subjects.ts";

/** A message of the copy that the log does not have. */
export interface Stray {
  readonly seq: number;
  /** undefined: a control record. */
  readonly origin: Origin | undefined;
}

async function eachHeader(
  nc: NatsConnection,
  inboxPrefix: string,
  take: (message: StoredMessage) => void,
): Promise<void> {
  const state = await streamState(nc, STREAM.events);
  if (state.messages === 0) return;
  await using reader = await new StreamReader({
    nc,
    inboxPrefix,
    stream: STREAM.events,
    startSeq: state.first_seq,
    filters: [SUBJECT.allEvents],
    headersOnly: true,
    silenceMs: 5000,
  }).start();
  for await (const messages of reader.backlog(state.last_seq)) messages.forEach(take);
}

/** What the copy has beyond a log index, in the copy's order. */
export async function straysBeyond(
  nc: NatsConnection,
  inboxPrefix: string,
  beyond: number,
): Promise<Stray[]> {
  const strays: Stray[] = [];
  await eachHeader(nc, inboxPrefix, (message) => {
    const position = positionOf(message);
    if (!position || position.index <= beyond) return;
    strays.push({ seq: message.seq, origin: parseOrigin(headerValue(message.headerText, HEADER.origin)) });
  });
  return strays;
}

/** Domains that the copy holds events of. */
export async function domainsInCopy(nc: NatsConnection, inboxPrefix: string): Promise<Set<string>> {
  const domains = new Set<string>();
  await eachHeader(nc, inboxPrefix, (message) => domains.add(domainOf(message.subject)));
  domains.delete("_cim");
  return domains;
}

/** Deletes strays newest first, so that one that was interrupted left a shorter copy and not one with a hole. */
export async function deleteStrays(
  nc: NatsConnection,
  strays: readonly Stray[],
  before: (message: StoredMessage, stray: Stray) => Promise<void>,
): Promise<void> {
  for (const stray of strays.toReversed()) {
    const message = await getMessage(nc, STREAM.events, { seq: stray.seq });
    if (!message) continue;
    await before(message, stray);
    await jetStreamApi(nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq: stray.seq, no_erase: true });
  }
}

/** Purges a domain from the copy, or with undefined everything. */
export async function purgeCopy(nc: NatsConnection, filter: string | undefined): Promise<void> {
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.events}`, filter === undefined ? {} : { filter }, {
    timeoutMs: 60_000,
  });
}
