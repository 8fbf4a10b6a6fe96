import { hash } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { liveRequest } from "../../shared/nats/live-request.ts";
import { EncodedHeaders } from "../../shared/nats/raw-message.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { carriedLogHeaders, headerLine } from "../../shared/protocol/headers.ts";
import type { Refusal } from "../../shared/protocol/messages.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { formatOrigin, printOf } from "../../shared/protocol/origin.ts";
import { EVENTS_PREFIX, refusedSubject } from "../../shared/protocol/subjects.ts";
import { shippedFromOutbox } from "./own-events.ts";

const PUBLISH_TIMEOUT_MS = 10_000;

/**
 * nats-server takes 4 KiB of subject and reply, and closes the connection at more: a subject near that has no room for the
 * reason in front and the key behind it.
 */
const MAX_KEPT_SUBJECT_BYTES = 2000;

const digestSubject = (subject: string): string =>
  `${EVENTS_PREFIX}_long.${hash("sha256", subject, "hex").slice(0, 32)}`;

/** Keeps events that the log would not take, or no longer has, in CIM_REFUSED: nothing is dropped. */
export class RefusedEvents {
  readonly #nc: NatsConnection;
  readonly #node: string;

  constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.#node = node;
  }

  /** Sets refused events of the outbox aside; those it no longer has were set aside before, or are another outbox's. */
  async fromOutbox(incarnation: number, refusals: readonly Refusal[]): Promise<void> {
    for (const { seq, print, reason } of refusals) {
      const message = await getMessage(this.#nc, STREAM.outbox, { seq });
      if (!message) continue;
      const event = shippedFromOutbox(this.#node, message);
      if (printOf(event) !== print) continue;
      const { id } = event;
      const origin = formatOrigin({ node: this.#node, incarnation, lane: "e", seq });
      const headers =
        headerLine(HEADER.origin, origin) + headerLine(HEADER.id, id) + carriedLogHeaders(message.headerText);
      await this.#keep(reason, message, headers, `${incarnation}.${seq}`);
    }
  }

  /** Sets aside what a copy had and the log does not have. */
  async fromCopy(message: StoredMessage, reason: string, key: string): Promise<void> {
    await this.#keep(reason, message, carriedLogHeaders(message.headerText), key);
  }

  /** One subject per event, so that saying it again changes nothing, however much later. */
  async #keep(reason: string, message: StoredMessage, headerText: string, key: string): Promise<void> {
    const tooLong = Buffer.byteLength(message.subject) > MAX_KEPT_SUBJECT_BYTES;
    const subject = `${refusedSubject(reason, tooLong ? digestSubject(message.subject) : message.subject)}.${key}`;
    if (await getMessage(this.#nc, STREAM.refused, { last_by_subj: subject })) return;
    const headers = new EncodedHeaders(headerLine(HEADER.subject, message.subject) + headerText);
    const ack = await liveRequest(this.#nc, subject, message.body, { headers, timeout: PUBLISH_TIMEOUT_MS });
    const { error } = ack.json<{ error?: { description?: string } }>();
    if (error) throw new Error(`${STREAM.refused}: ${error.description ?? "not stored"}`);
  }
}

/** How many events are set aside. */
export async function refusedCount(nc: NatsConnection): Promise<number> {
  const { state } = await jetStreamApi<{ state: { messages: number } }>(
    nc,
    `STREAM.INFO.${STREAM.refused}`,
    undefined,
  );
  return state.messages;
}
