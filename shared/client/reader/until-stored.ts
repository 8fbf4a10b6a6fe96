import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { streamState, unlessMissing } from "../../nats/jetstream-api.ts";
import { Backoff, LOOPBACK_POLICY } from "../../nats/reconnect-policy.ts";
import { errorText } from "../../protocol/error-text.ts";
import { STREAM } from "../../protocol/names.ts";
import { ClientClosed, StoreUnavailable } from "../append-errors.ts";
import { CheckpointInvalid, EventsGone, ReaderAhead, ReaderDiffers, ReaderTaken } from "./reader-errors.ts";

/** A server that restarts is back by then; a program is to know of one that is not. */
const GIVE_UP_MS = 30_000;

/** What no other try would change. */
const FINAL = [CheckpointInvalid, EventsGone, ReaderAhead, ReaderDiffers, ReaderTaken];

/**
 * Tries something with `CIM_READERS` again while the node can't be reached or restarts. `attempt` gives undefined to be
 * tried again at once: somebody else wrote.
 *
 * @throws {StoreUnavailable} for so long that the program should know
 * @throws {ReaderTaken} and the other errors of readers, as `attempt` does
 */
export async function untilStored<T>(
  nc: NatsConnection,
  node: string,
  what: string,
  attempt: () => Promise<T | undefined>,
  giveUpMs = GIVE_UP_MS,
): Promise<T> {
  const until = performance.now() + giveUpMs;
  const backoff = new Backoff(LOOPBACK_POLICY);
  for (;;) {
    let failure: unknown = new Error("others write at the same time");
    try {
      const done = await attempt();
      if (done !== undefined) return done;
    } catch (error) {
      if (FINAL.some((kind) => error instanceof kind)) throw error;
      if (nc.isClosed()) throw new ClientClosed();
      failure = error;
    }
    const waitMs = backoff.nextMs();
    if (performance.now() + waitMs > until) {
      const why = errorText(failure);
      const reason = `${what} was not possible within ${giveUpMs / 1000} s (${why})`;
      throw new StoreUnavailable(node, { reason, outcome: "unknown" }, { cause: failure });
    }
    await sleep(waitMs);
  }
}

/** @throws {StoreUnavailable} a node of an older build */
export async function needReadersStream(nc: NatsConnection, node: string): Promise<void> {
  const state = await unlessMissing(streamState(nc, STREAM.readers)).catch(() => "starting");
  if (state !== undefined) return;
  const reason = `it has no ${STREAM.readers}, which a daemon of this build makes: upgrade the node, or keep event.checkpoint yourself`;
  throw new StoreUnavailable(node, { reason, outcome: "not-stored" });
}
