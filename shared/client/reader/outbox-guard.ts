import type { NatsConnection } from "@nats-io/transport-node";
import { firstKept, streamState } from "../../nats/jetstream-api.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { STREAM } from "../../protocol/names.ts";
import type { Origin } from "../../protocol/origin.ts";
import { printAt } from "./own-outbox.ts";

// A slow reader's outbox may be trimmed under it, and the server just goes on behind. The log has what went.

/** Whether something was trimmed among messages of the outbox, or before them and after a sequence. */
export async function wasTrimmed(
  nc: NatsConnection,
  messages: readonly StoredMessage[],
  after: number,
): Promise<boolean> {
  let gapAfter: number | undefined;
  let last = after;
  for (const { seq } of messages) {
    if (seq !== last + 1) gapAfter ??= last;
    last = seq;
  }
  if (gapAfter === undefined) return false;
  return firstKept(await streamState(nc, STREAM.outbox)) > gapAfter + 1;
}

/**
 * Whether a node's outbox has an event of the log. `trimmed`: it may have had it.
 * @param print of the event in the log
 */
export async function inOutbox(
  nc: NatsConnection,
  { node, seq }: Origin,
  print: string,
): Promise<"same" | "other" | "trimmed"> {
  const there = await printAt(nc, node, seq);
  if (there !== undefined) return there === print ? "same" : "other";
  return seq < firstKept(await streamState(nc, STREAM.outbox)) ? "trimmed" : "other";
}
