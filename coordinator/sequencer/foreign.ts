import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { STREAM } from "../../shared/protocol/names.ts";

/** A message of the log's stream that no sequencer wrote. */
export type Foreign = Pick<StoredMessage, "seq" | "subject" | "headerText" | "body">;

/** So many are told in full, and so much of each body, bytes: whoever looks for their writer needs some, not all. */
const MOST_TOLD = 3;
const MOST_BODY = 500;

export function tellForeign(log: Log, foreign: readonly Foreign[]): void {
  for (const { seq, subject, headerText, body } of foreign.slice(0, MOST_TOLD)) {
    const text = Buffer.from(body).toString("utf8", 0, MOST_BODY);
    log.warn({ seq, subject, headerText, body: text }, "no sequencer wrote this message of the log");
  }
}

/**
 * Takes foreign messages out of the log's stream. To be called when a reign has begun behind them, whose record tells where
 * the log goes on: without it what was deleted could as well have been of the log.
 *
 * @throws JetStreamRefused, or the client's error; what is left is then as foreign as before
 */
export async function removeForeign(nc: NatsConnection, foreign: readonly Foreign[]): Promise<void> {
  // The newest first: should this be interrupted, what is left still stands right behind what it does not continue.
  for (const { seq } of foreign.toReversed()) await deleteMessage(nc, seq);
}

async function deleteMessage(nc: NatsConnection, seq: number): Promise<void> {
  try {
    await jetStreamApi(nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq, no_erase: true });
  } catch (error) {
    if (await getMessage(nc, STREAM.events, { seq })) throw error;
  }
}
