import type { NatsConnection } from "@nats-io/transport-node";
import { liveRequest } from "./live-request.ts";

/** A server answered a request to its system account with an error. */
export class SystemRequestFailed extends Error {
  override readonly name = "SystemRequestFailed";
}

interface SystemAnswer {
  readonly data?: unknown;
  readonly error?: { readonly code?: number; readonly description?: string };
}

/**
 * Asks a server something in its system account and returns the answer's `data`.
 * The caller knows its shape: nats-server's `server/monitor.go`.
 * @throws {SystemRequestFailed}, or the client's error when nothing answers within `timeoutMs`
 */
export async function systemRequest<T>(
  nc: NatsConnection,
  subject: string,
  body?: Readonly<Record<string, unknown>>,
  timeoutMs = 2_000,
): Promise<T> {
  const payload = body === undefined ? "" : JSON.stringify(body);
  const answer = (await liveRequest(nc, subject, payload, { timeout: timeoutMs })).json<SystemAnswer>();
  if (answer.error) {
    const { code, description } = answer.error;
    throw new SystemRequestFailed(
      `${subject}: ${description ?? "refused"}${code === undefined ? "" : ` (${code})`}`,
    );
  }
  return answer.data as T;
}
