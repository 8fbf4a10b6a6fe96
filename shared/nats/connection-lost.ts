import type { NatsConnection } from "@nats-io/transport-node";

/** The connection was lost before the answer came, which will not come any more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

interface Watched {
  readonly waiting: Set<() => void>;
  down: boolean;
}

const watched = new WeakMap<NatsConnection, Watched>();

/**
 * Runs something once when the connection is lost: the client itself leaves a request that was sent before to its time-out,
 * however long that is. Gives a function that forgets it.
 */
export function onceLost(nc: NatsConnection, what: () => void): () => void {
  const { waiting } = watchedOf(nc);
  waiting.add(what);
  return () => void waiting.delete(what);
}

/** Not connected at this moment. What is sent while the client shakes hands with its server anew is lost, too. */
export function isDown(nc: NatsConnection): boolean {
  const state = watchedOf(nc);
  // The client has no server's information from the moment on in which it lost it, before it says so.
  if (nc.info === undefined) state.down = true;
  return state.down;
}

function watchedOf(nc: NatsConnection): Watched {
  let state = watched.get(nc);
  if (!state) {
    state = { waiting: new Set(), down: false };
    watched.set(nc, state);
    void watch(nc, state);
  }
  return state;
}

async function watch(nc: NatsConnection, state: Watched): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type === "reconnect") state.down = false;
    if (type !== "disconnect" && type !== "close") continue;
    state.down = true;
    const lost = [...state.waiting];
    state.waiting.clear();
    for (const what of lost) what();
  }
}
