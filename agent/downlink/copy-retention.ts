import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf } from "../../shared/follow/read-history.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { SUBJECT } from "../../shared/protocol/subjects.ts";

/**
 * Lets go of what the log itself no longer has: everything before the first message at or after the log's first index.
 * Filled-in domains stand behind younger events, so a copy may keep some longer, never shorter.
 * @param keepRecord writes the copy's record anew: the one it has may be among what goes
 * @returns how many messages went
 */
export async function trimCopy(
  nc: NatsConnection,
  inboxPrefix: string,
  logFirstIndex: number,
  keepRecord: () => Promise<void>,
): Promise<number> {
  const state = await streamState(nc, STREAM.events);
  if (state.messages === 0 || logFirstIndex <= 1) return 0;
  const keepFrom = await firstAtOrAfter(nc, inboxPrefix, state.first_seq, logFirstIndex);
  if (keepFrom === undefined || keepFrom <= state.first_seq) return 0;
  await keepRecord();
  const purge = { seq: keepFrom };
  const { purged } = await jetStreamApi<{ purged: number }>(nc, `STREAM.PURGE.${STREAM.events}`, purge);
  return purged;
}

async function firstAtOrAfter(
  nc: NatsConnection,
  inboxPrefix: string,
  startSeq: number,
  index: number,
): Promise<number | undefined> {
  await using reader = await new StreamReader({
    nc,
    inboxPrefix,
    stream: STREAM.events,
    startSeq,
    filters: [SUBJECT.allEvents],
    headersOnly: true,
    silenceMs: 5000,
  }).start();
  for await (const messages of reader.backlog(Number.MAX_SAFE_INTEGER)) {
    const found = messages.find((message) => (positionOf(message)?.index ?? 0) >= index);
    if (found) return found.seq;
  }
  return undefined;
}
