import { setTimeout as sleep } from "node:timers/promises";
import {
  type Msg,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
} from "@nats-io/transport-node";
import * as z from "zod";
import { ConnectionLost } from "../../nats/connection-lost.ts";
import type { ConnectionWatch } from "../../nats/connection-watch.ts";
import { liveRequest } from "../../nats/live-request.ts";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import {
  type CommitRefused,
  type CommitStored,
  commitRefused,
  commitStored,
  RECOGNISED_MS,
  WRONG_STREAM_CODE,
} from "../../protocol/commit.ts";
import { errorText } from "../../protocol/error-text.ts";
import { domainOf, EVENTS_PREFIX } from "../../protocol/subjects.ts";
import { AppendCancelled, ClientBusy, EventRejected, VersionConflict } from "../append-errors.ts";
import type { QueueLimits } from "../append-queue.ts";
import { askWhy } from "../ask-why.ts";
import type { EncodedCommit } from "./encode-commit.ts";
import { HubUnavailable } from "./hub-unavailable.ts";

export interface CommitWriterInit {
  readonly nc: NatsConnection;
  readonly watch: ConnectionWatch;
  readonly node: string;
  /** How long a commit may go without an answer, and how long a lost connection is waited for, ms. */
  readonly timeoutMs: number;
  /** What may be on its way at a time. */
  readonly limits: QueueLimits;
}

/** The hub reads its log within that, mostly. */
const AGAIN_MS = 50;

/** What became of one request. */
type Answer =
  | { readonly kind: "stored"; readonly stored: CommitStored }
  | { readonly kind: "refused"; readonly refused: CommitRefused }
  /** The node's own stream would have had to take it: its server does not map the domain. */
  | { readonly kind: "not-mapped" }
  | { readonly kind: "nobody" }
  | { readonly kind: "forbidden"; readonly reason: string }
  | { readonly kind: "lost" }
  | { readonly kind: "unknown"; readonly reason: string };

/** Has events of strong domains stored by the hub, one at a time, over a connection that may break. */
export class CommitWriter {
  readonly #init: CommitWriterInit;
  readonly #sent = new Set<Promise<CommitStored>>();
  #bytes = 0;

  constructor(init: CommitWriterInit) {
    this.#init = init;
  }

  /**
   * @throws {ClientBusy} {AppendCancelled} {EventRejected} {VersionConflict} {HubUnavailable} within `timeoutMs`, at once where
   *   nobody could take it
   */
  async commit(event: EncodedCommit, signal?: AbortSignal): Promise<CommitStored> {
    const cancelled = (outcome: "not-stored" | "unknown") => {
      const isTime = signal?.reason instanceof Error && signal.reason.name === "TimeoutError";
      const why = isTime ? "its time is over" : "it was cancelled";
      return new AppendCancelled(why, outcome, { cause: signal?.reason });
    };
    if (signal?.aborted) throw cancelled("not-stored");
    this.#refuseTooMuch(event.bytes);
    const sent = this.#commit(event);
    this.#sent.add(sent);
    this.#bytes += event.bytes;
    const given = Promise.withResolvers<never>();
    const giveUp = () => given.reject(cancelled("unknown"));
    signal?.addEventListener("abort", giveUp, { once: true });
    const end = () => {
      this.#sent.delete(sent);
      this.#bytes -= event.bytes;
      signal?.removeEventListener("abort", giveUp);
    };
    sent.then(end, end);
    return await Promise.race([sent, given.promise]);
  }

  /** Resolves when nothing is on its way any more. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#sent);
  }

  #refuseTooMuch(bytes: number): void {
    const { limits } = this.#init;
    const [eventsThen, bytesThen] = [this.#sent.size + 1, this.#bytes + bytes];
    if (this.#sent.size === 0) return;
    if (bytesThen > limits.bytes) throw new ClientBusy("maxQueuedBytes", limits.bytes, bytesThen);
    if (eventsThen > limits.events) throw new ClientBusy("maxQueuedEvents", limits.events, eventsThen);
  }

  async #commit(event: EncodedCommit): Promise<CommitStored> {
    const { node, timeoutMs, watch } = this.#init;
    const deadlineMs = performance.now() + Math.min(timeoutMs, RECOGNISED_MS / 2);
    let sentBefore = false;
    for (;;) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || !(await watch.connectedWithin(leftMs))) {
        const reason = `no answer within ${timeoutMs} ms`;
        throw await this.#unavailable(event, sentBefore ? "unknown" : "not-stored", reason);
      }
      const answer = await this.#ask(event, Math.max(1, deadlineMs - performance.now()));
      switch (answer.kind) {
        case "stored": {
          // After a break in the connection a repeated id is our own.
          const { duplicate: _, ...stored } = answer.stored;
          return sentBefore ? stored : answer.stored;
        }
        case "not-mapped": {
          const domain = domainOf(event.message.subject);
          const words = `domain: ${domain} is strong, and the server of ${node} does not send its events to the hub: write its configuration anew (write-nats-config) and reload it`;
          throw new EventRejected("domain", words);
        }
        case "forbidden":
          throw new EventRejected("domain", `domain: ${node} does not take it: ${answer.reason}`);
        case "nobody":
        case "unknown": {
          const maybe = sentBefore || answer.kind === "unknown";
          const reason = answer.kind === "unknown" ? answer.reason : "its coordinator is away";
          throw await this.#unavailable(event, maybe ? "unknown" : "not-stored", reason);
        }
        case "lost":
          sentBefore = true;
          continue;
        case "refused":
          if (answer.refused.refusal !== "unavailable")
            throw this.#refusal(event, answer.refused, sentBefore);
          if (performance.now() + AGAIN_MS > deadlineMs) {
            const { description } = answer.refused.error;
            throw await this.#unavailable(event, sentBefore ? "unknown" : "not-stored", description);
          }
          await sleep(AGAIN_MS);
      }
    }
  }

  #refusal(event: EncodedCommit, { refusal, error, actual }: CommitRefused, sentBefore: boolean): Error {
    const { node } = this.#init;
    const eventIds = [event.identity.id];
    if (refusal === "version")
      return new VersionConflict(node, {
        aggregate: event.aggregate.slice(EVENTS_PREFIX.length, -2),
        expected: event.expected || "none",
        actual: actual || "none",
        eventIds,
      });
    if (refusal === "offline") {
      const outcome = sentBefore ? "unknown" : "not-stored";
      return new HubUnavailable(node, { reason: error.description, outcome, eventIds });
    }
    return new EventRejected(refusal, `${refusal}: ${error.description}`);
  }

  async #unavailable(
    { identity }: EncodedCommit,
    outcome: "not-stored" | "unknown",
    reason: string,
  ): Promise<HubUnavailable> {
    const { nc, node, watch } = this.#init;
    const conditions = outcome === "unknown" && watch.connected ? await askWhy(nc, node) : [];
    return new HubUnavailable(node, { reason, outcome, conditions, eventIds: [identity.id] });
  }

  async #ask({ message }: EncodedCommit, timeout: number): Promise<Answer> {
    const { subject, headerText, body } = message;
    try {
      const headers = new EncodedHeaders(headerText);
      return readAnswer(await liveRequest(this.#init.nc, subject, body, { timeout, headers }));
    } catch (error) {
      if (error instanceof ConnectionLost) return { kind: "lost" };
      const cause = error instanceof RequestError ? error.cause : error;
      if (cause instanceof NoRespondersError) return { kind: "nobody" };
      if (cause instanceof PermissionViolationError) return { kind: "forbidden", reason: cause.message };
      return { kind: "unknown", reason: errorText(error) };
    }
  }
}

const fromStream = z.object({ error: z.object({ err_code: z.number(), description: z.string() }) });

function readAnswer(answer: Msg): Answer {
  let said: unknown;
  try {
    said = answer.json();
  } catch {
    return { kind: "unknown", reason: "the answer can't be read" };
  }
  const stored = commitStored.safeParse(said);
  if (stored.success) return { kind: "stored", stored: stored.data };
  const refused = commitRefused.safeParse(said);
  if (refused.success) return { kind: "refused", refused: refused.data };
  const error = fromStream.safeParse(said).data?.error;
  if (error?.err_code === WRONG_STREAM_CODE) return { kind: "not-mapped" };
  return { kind: "unknown", reason: error?.description ?? "the answer can't be read" };
}
