import type { NatsConnection } from "@nats-io/transport-node";
import { liveRequest } from "./live-request.ts";

/** The prefix of a JetStream API: the own server's, or that of another domain over the link. */
export function apiPrefix(domain?: string): string {
  return domain === undefined ? "$JS.API" : `$JS.${domain}.API`;
}

/** JetStream answered, with an error. */
export class JetStreamRefused extends Error {
  override readonly name = "JetStreamRefused";
  readonly code: number;
  readonly errCode: number;

  constructor(request: string, error: { code?: number; err_code?: number; description?: string }) {
    super(`${request}: ${error.description ?? "refused"} (${error.err_code ?? error.code ?? 0})`);
    this.code = error.code ?? 0;
    this.errCode = error.err_code ?? 0;
  }
}

export interface ApiOptions {
  readonly prefix?: string;
  readonly timeoutMs?: number;
}

/** One request to the JetStream API. @throws JetStreamRefused, or the client's error when nothing answers in time. */
export async function jetStreamApi<T>(
  nc: NatsConnection,
  request: string,
  body: unknown,
  options: ApiOptions = {},
): Promise<T> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const answer = await liveRequest(nc, `${options.prefix ?? "$JS.API"}.${request}`, payload, {
    timeout: options.timeoutMs ?? 5000,
  });
  const parsed = answer.json<{ error?: { code?: number; err_code?: number; description?: string } }>();
  if (parsed.error) throw new JetStreamRefused(request, parsed.error);
  return parsed as T;
}

export interface StreamState {
  readonly messages: number;
  readonly bytes: number;
  readonly first_seq: number;
  readonly last_seq: number;
}

/** The first sequence that a stream still has; one beyond its last when it has none. */
export function firstKept({ messages, first_seq, last_seq }: StreamState): number {
  return messages === 0 ? last_seq + 1 : first_seq;
}

/** What was asked of a stream; undefined when there is no such stream. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof JetStreamRefused && error.code === 404) return undefined;
    throw error;
  }
}

/** A stream's state. @throws JetStreamRefused with code 404 when there is no such stream. */
export async function streamState(
  nc: NatsConnection,
  stream: string,
  options: ApiOptions = {},
): Promise<StreamState> {
  const info = await jetStreamApi<{ state: StreamState }>(nc, `STREAM.INFO.${stream}`, undefined, options);
  return info.state;
}
