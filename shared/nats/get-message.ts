import { createInbox } from "@nats-io/nats-core";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
import { ConnectionLost, isDown, onceLost } from "./connection-lost.ts";
import type { ApiOptions } from "./jetstream-api.ts";
import { liveRequest } from "./live-request.ts";
import { headerTextOf } from "./raw-message.ts";

export type MessageQuery =
  | { readonly seq: number }
  /** The newest of these subjects; wildcards allowed. */
  | { readonly last_by_subj: string }
  /** The first at or after `seq` of these subjects. */
  | { readonly seq: number; readonly next_by_subj: string };

/** Reads one stored message by direct get; undefined when there is none. */
export async function getMessage(
  nc: NatsConnection,
  stream: string,
  query: MessageQuery,
  options: ApiOptions = {},
): Promise<StoredMessage | undefined> {
  const answer = await liveRequest(
    nc,
    `${options.prefix ?? "$JS.API"}.DIRECT.GET.${stream}`,
    JSON.stringify(query),
    {
      timeout: options.timeoutMs ?? 5000,
    },
  );
  const code = statusOf(answer);
  if (code === 404) return undefined;
  if (code !== 0)
    throw new Error(`${stream}: direct get answered ${code} ${answer.headers?.description ?? ""}`);
  return storedMessageOf(answer);
}

/** As many as one answer may have; the server sends no more than its own bound on bytes. */
const BATCH = 256;

/**
 * All messages of these subjects from a sequence on, as there are by now, oldest first. By direct gets, which leave nothing
 * at the server: unlike readers with a consumer of one name, two that overlap can't take each other's messages.
 */
export async function getMessages(
  nc: NatsConnection,
  stream: string,
  query: FromQuery,
  options: ApiOptions & { readonly inboxPrefix: string },
): Promise<StoredMessage[]> {
  const { next_by_subj } = query;
  const found: StoredMessage[] = [];
  for (let from = query; ; ) {
    const part = await getBatch(nc, stream, from, options);
    found.push(...part.messages);
    const last = part.messages.at(-1);
    if (!last || !part.more) return found;
    from = { seq: last.seq + 1, next_by_subj };
  }
}

/** Of these subjects from a sequence on, or from when the stream stored them on, RFC 3339. */
export type FromQuery = { readonly next_by_subj: string } & (
  | { readonly seq: number }
  | { readonly start_time: string }
);

/** The newest message of each of these subjects among those up to a sequence. */
export async function getLastUpTo(
  nc: NatsConnection,
  stream: string,
  subjects: readonly string[],
  upToSeq: number,
  options: ApiOptions & { readonly inboxPrefix: string },
): Promise<StoredMessage[]> {
  if (upToSeq < 1) return [];
  const query = { multi_last: subjects, up_to_seq: upToSeq };
  return (await getBatch(nc, stream, query, options)).messages;
}

/**
 * The newest message of each of these subjects, however many; subjects without one are left out. Of what is written
 * meanwhile either is given, or for a subject that was written again nothing.
 */
export async function getNewest(
  nc: NatsConnection,
  stream: string,
  subjects: readonly string[],
  options: ApiOptions & { readonly inboxPrefix: string },
): Promise<StoredMessage[]> {
  const parts = Array.from({ length: Math.ceil(subjects.length / BATCH) }, (_, i) =>
    subjects.slice(i * BATCH, (i + 1) * BATCH),
  );
  const found = await Promise.all(
    parts.map(async (multi_last) => {
      const messages: StoredMessage[] = [];
      for (let seq = 0; ; ) {
        const part = await getBatch(nc, stream, { multi_last, ...(seq > 0 && { seq }) }, options);
        messages.push(...part.messages);
        const last = part.messages.at(-1);
        if (!last || !part.more) return messages;
        seq = last.seq + 1;
      }
    }),
  );
  return found.flat();
}

type BatchQuery =
  | FromQuery
  | { readonly multi_last: readonly string[]; readonly up_to_seq?: number; readonly seq?: number };

function getBatch(
  nc: NatsConnection,
  stream: string,
  query: BatchQuery,
  options: ApiOptions & { readonly inboxPrefix: string },
): Promise<{ messages: StoredMessage[]; more: boolean }> {
  const { prefix = "$JS.API", timeoutMs = 5000, inboxPrefix } = options;
  const inbox = createInbox(inboxPrefix);
  return new Promise((resolve, reject) => {
    if (isDown(nc)) throw new ConnectionLost("the connection is down");
    const messages: StoredMessage[] = [];
    const end = (finish: () => void) => {
      clearTimeout(timer);
      forget();
      subscription.unsubscribe();
      finish();
    };
    const fail = (error: Error) => end(() => reject(error));
    const timer = setTimeout(() => fail(new Error(`${stream}: no answer within ${timeoutMs} ms`)), timeoutMs);
    const forget = onceLost(nc, () => fail(new ConnectionLost("the connection was lost")));
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return fail(error);
        const code = statusOf(message);
        if (code === 0) {
          messages.push(storedMessageOf(message));
          return;
        }
        // 204: all that was asked for; 404: there is none. 503: nobody has the stream.
        if (code !== 204 && code !== 404) return fail(new Error(`${stream}: direct get answered ${code}`));
        const more = Number(headerValue(headerTextOf(message), "Nats-Num-Pending") ?? 0) > 0;
        end(() => resolve({ messages, more }));
      },
    });
    const request = JSON.stringify({ ...query, batch: BATCH });
    nc.publish(`${prefix}.DIRECT.GET.${stream}`, request, { reply: inbox });
  });
}

/** 0: a stored message. One that is an answer of the server, which somebody had stored, has a status line of its own. */
function statusOf(answer: Msg): number {
  const code = answer.headers?.code ?? 0;
  return code !== 0 && addedByServer(headerTextOf(answer), "Nats-Sequence") !== undefined ? 0 : code;
}

function storedMessageOf(answer: Msg): StoredMessage {
  const text = headerTextOf(answer);
  const time = addedByServer(text, "Nats-Time-Stamp") ?? "";
  return {
    seq: Number(addedByServer(text, "Nats-Sequence")),
    timeUs: microsecondsOf(time),
    subject: addedByServer(text, "Nats-Subject") ?? "",
    headerText: text,
    body: answer.data,
  };
}

/** The last one of that name: the server adds its own behind those that are stored, which may bear the same names. */
function addedByServer(headerText: string, name: string): string | undefined {
  const at = headerText.lastIndexOf(`\r\n${name}:`);
  return headerValue(at < 0 ? headerText : headerText.slice(at + 2), name);
}

/** RFC 3339 with up to nine decimals, to µs since the epoch, cut and not rounded like the ack format's. */
export function microsecondsOf(rfc3339: string): number {
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(rfc3339);
  if (!match) return 0;
  const decimals = (match[2] ?? "").padEnd(6, "0").slice(0, 6);
  return Date.parse(`${match[1]}Z`) * 1000 + Number(decimals);
}
