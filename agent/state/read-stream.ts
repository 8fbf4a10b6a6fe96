import type { NatsConnection } from "@nats-io/transport-node";
import { readReignHistory, type StreamHistory } from "../../shared/follow/read-history.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import type { StreamNow } from "./go-on.ts";

/** The node's log or copy as it is now, seen from a sequence. @throws JetStreamRefused with code 404: it keeps none */
export async function readStreamAt(
  nc: NatsConnection,
  inboxPrefix: string,
  seq: number,
): Promise<StreamNow & StreamHistory> {
  const { created } = await jetStreamApi<{ created: string }>(nc, `STREAM.INFO.${STREAM.events}`, undefined);
  const history = await readReignHistory({ nc, inboxPrefix });
  return { ...history, created, here: await placeAt(nc, seq) };
}

/** What the message at a sequence says of its place in the log; undefined: there is none. */
export async function placeAt(nc: NatsConnection, seq: number): Promise<string | null | undefined> {
  const message = seq > 0 ? await getMessage(nc, STREAM.events, { seq }) : undefined;
  return message && (headerValue(message.headerText, HEADER.log) ?? null);
}
