import type { NatsConnection } from "@nats-io/transport-node";

/** The connection was lost before the answer came, which will not come any more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

const waiting = new WeakMap<NatsConnection, Set<() => void>>();

/**
 * Runs something once when the connection is lost: the client itself leaves a request that was sent before to its time-out,
 * however long that is. Gives a function that forgets it.
 */
export function onceLost(nc: NatsConnection, what: () => void): () => void {
  let all = waiting.get(nc);
  if (!all) {
    all = new Set();
    waiting.set(nc, all);
    void watch(nc, all);
  }
  const mine = all;
  mine.add(what);
  return () => void mine.delete(what);
}

async function watch(nc: NatsConnection, all: Set<() => void>): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type !== "disconnect" && type !== "close") continue;
    const lost = [...all];
    all.clear();
    for (const what of lost) what();
  }
}
