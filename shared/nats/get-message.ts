import type { NatsConnection } from "@nats-io/transport-node";
import type { StoredMessage } from "../protocol/event.ts";
import { headerValue } from "../protocol/headers.ts";
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
  const code = answer.headers?.code ?? 0;
  if (code === 404) return undefined;
  if (code !== 0)
    throw new Error(`${stream}: direct get answered ${code} ${answer.headers?.description ?? ""}`);
  const text = headerTextOf(answer);
  const time = headerValue(text, "Nats-Time-Stamp") ?? "";
  return {
    seq: Number(headerValue(text, "Nats-Sequence")),
    timeUs: microsecondsOf(time),
    subject: headerValue(text, "Nats-Subject") ?? "",
    headerText: text,
    body: answer.data,
  };
}

/** RFC 3339 with up to nine decimals, to µs since the epoch, cut and not rounded like the ack format's. */
export function microsecondsOf(rfc3339: string): number {
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(rfc3339);
  if (!match) return 0;
  const decimals = (match[2] ?? "").padEnd(6, "0").slice(0, 6);
  return Date.parse(`${match[1]}Z`) * 1000 + Number(decimals);
}
