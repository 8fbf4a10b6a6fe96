import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { errorText } from "../protocol/error-text.ts";
import { JetStreamRefused, jetStreamApi } from "./jetstream-api.ts";
import { Backoff, LOOPBACK_POLICY } from "./reconnect-policy.ts";
import { compareStream, type StreamConfig } from "./stream-difference.ts";
import type { StreamDefinition } from "./streams.ts";

/** A stream can't be made or used as it is. The message is one line: which, why, what to do. */
export class StreamUnusable extends Error {
  override readonly name = "StreamUnusable";
  readonly stream: string;

  constructor(stream: string, why: string, options?: ErrorOptions) {
    super(`stream ${stream}: ${why}`, options);
    this.stream = stream;
  }
}

export interface EnsuredStream {
  readonly stream: string;
  readonly outcome: "created" | "unchanged" | "updated";
  readonly changed: readonly string[];
}

const NO_SUCH_STREAM = 10059;

/**
 * Brings one stream of the own server to what is wanted: makes it, or changes the limits and switches that differ.
 * What a definition does not speak of stays as it is. Waits while JetStream is starting.
 * @throws {StreamUnusable} another stream of that name or with these subjects, or JetStream does not answer in time
 */
export async function ensureStream(
  nc: NatsConnection,
  wanted: StreamDefinition,
  options: { readonly timeoutMs?: number } = {},
): Promise<EnsuredStream> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const deadlineMs = performance.now() + timeoutMs;
  const backoff = new Backoff(LOOPBACK_POLICY);
  for (;;) {
    try {
      return await reconcile(nc, wanted);
    } catch (error) {
      if (error instanceof StreamUnusable) throw error;
      const starting = !(error instanceof JetStreamRefused) || error.code === 503;
      if (!starting) throw new StreamUnusable(wanted.name, error.message, { cause: error });
      const waitMs = backoff.nextMs();
      if (performance.now() + waitMs > deadlineMs || nc.isClosed()) {
        const why = `JetStream does not answer within ${timeoutMs} ms (${errorText(error)})`;
        throw new StreamUnusable(wanted.name, why, { cause: error });
      }
      await sleep(waitMs);
    }
  }
}

/** `ensureStream` for each, in order. */
export async function ensureStreams(
  nc: NatsConnection,
  wanted: readonly StreamDefinition[],
  options: { readonly timeoutMs?: number } = {},
): Promise<EnsuredStream[]> {
  const done: EnsuredStream[] = [];
  for (const definition of wanted) done.push(await ensureStream(nc, definition, options));
  return done;
}

async function reconcile(nc: NatsConnection, wanted: StreamDefinition): Promise<EnsuredStream> {
  const stream = wanted.name;
  const api = { timeoutMs: 2_000 };
  const found = await jetStreamApi<{ config: StreamConfig }>(
    nc,
    `STREAM.INFO.${stream}`,
    undefined,
    api,
  ).catch(missing);
  if (!found) {
    await jetStreamApi(nc, `STREAM.CREATE.${stream}`, wanted, api);
    return { stream, outcome: "created", changed: [] };
  }
  const { changeable, unusable } = compareStream(wanted, found.config);
  if (unusable.length > 0) {
    const why = `${unusable.join("; ")}. It is not one that cim made: back it up and delete or rename it`;
    throw new StreamUnusable(stream, why);
  }
  if (changeable.length === 0) return { stream, outcome: "unchanged", changed: [] };
  await jetStreamApi(nc, `STREAM.UPDATE.${stream}`, updated(found.config, wanted), api);
  return { stream, outcome: "updated", changed: changeable };
}

function updated(found: StreamConfig, wanted: StreamDefinition): object {
  const metadata = { ...(found.metadata as object | undefined), ...wanted.metadata };
  return { ...found, ...wanted, metadata };
}

function missing(error: unknown): undefined {
  if (error instanceof JetStreamRefused && error.errCode === NO_SUCH_STREAM) return undefined;
  throw error;
}
