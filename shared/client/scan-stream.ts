import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import { StreamReader } from "../nats/stream-reader.ts";
import type { StoredMessage } from "../protocol/event.ts";

/** What of which stream is looked through. */
export interface StreamPart {
  readonly nc: NatsConnection;
  readonly stream: string;
  readonly filter: string;
  /** The first sequence that counts. */
  readonly from: number;
  readonly timeoutMs: number;
}

/**
 * Reads headers, oldest first, up to what the stream has now, until `match` gives something. The newest message is tried
 * first. A few MiB of memory at most, however much it reads.
 */
export async function findInStream<T>(
  part: StreamPart,
  match: (message: StoredMessage) => T | undefined,
): Promise<T | undefined> {
  const last = await newestOf(part);
  if (!last) return undefined;
  return match(last) ?? (await scan(part, last.seq, match));
}

/** The newest message of which `match` gives something. Streams are read forwards only, so it reads all of them. */
export async function lastInStream<T>(
  part: StreamPart,
  match: (message: StoredMessage) => T | undefined,
): Promise<T | undefined> {
  const last = await newestOf(part);
  if (!last) return undefined;
  const newest = match(last);
  if (newest !== undefined) return newest;
  let found: T | undefined;
  await scan(part, last.seq, (message) => {
    found = match(message) ?? found;
    return undefined;
  });
  return found;
}

async function newestOf(part: StreamPart): Promise<StoredMessage | undefined> {
  const { nc, stream, filter, from, timeoutMs } = part;
  const last = await getMessage(nc, stream, { last_by_subj: filter }, { timeoutMs });
  return last && last.seq >= from ? last : undefined;
}

async function scan<T>(
  { nc, stream, filter, from, timeoutMs }: StreamPart,
  upTo: number,
  match: (message: StoredMessage) => T | undefined,
): Promise<T | undefined> {
  const init = { nc, stream, startSeq: from, filters: [filter], headersOnly: true, timeoutMs };
  await using reader = await new StreamReader(init).start();
  for await (const messages of reader.backlog(upTo)) {
    for (const message of messages) {
      const found = match(message);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
