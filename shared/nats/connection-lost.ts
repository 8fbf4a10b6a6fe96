import { NatsConnectionImpl } from "@nats-io/nats-core/internal";
import type { NatsConnection } from "@nats-io/transport-node";

/** The connection was lost before the answer came, which will not come any more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

const waitingOf = new WeakMap<NatsConnection, Set<() => void>>();

/**
 * Runs something once when the connection is lost: the client itself leaves a request that was sent before to its time-out,
 * however long that is. Gives a function that forgets it.
 */
export function onceLost(nc: NatsConnection, what: () => void): () => void {
  let waiting = waitingOf.get(nc);
  if (!waiting) {
    waiting = new Set();
    waitingOf.set(nc, waiting);
    void watch(nc, waiting);
  }
  const mine = waiting;
  mine.add(what);
  return () => void mine.delete(what);
}

/**
 * Not connected at this moment. Asked of the client's own state and not of its events: whoever hears that it is back may ask
 * before others heard it, and what is sent while it shakes hands with its server is lost, too.
 */
export function isDown(nc: NatsConnection): boolean {
  if (!(nc instanceof NatsConnectionImpl)) throw new TypeError("a connection of another client");
  return !nc.protocol.connected || nc.info === undefined;
}

async function watch(nc: NatsConnection, waiting: Set<() => void>): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type !== "disconnect" && type !== "close") continue;
    const lost = [...waiting];
    waiting.clear();
    for (const what of lost) what();
  }
}
