import type { NatsConnection } from "@nats-io/transport-node";

/** Tells when a connection is lost and when it is back: what was asked meanwhile will not be answered. */
export class ConnectionWatch {
  readonly #nc: NatsConnection;
  readonly #listeners = new Set<(connected: boolean) => void>();
  connected = true;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    void this.#watch();
  }

  /** Gives a function that ends it. */
  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Whether it is connected now, or again within that time. */
  async connectedWithin(timeoutMs: number): Promise<boolean> {
    if (this.connected) return true;
    if (timeoutMs <= 0) return false;
    const back = Promise.withResolvers<boolean>();
    const stop = this.onChange((connected) => connected && back.resolve(true));
    const timer = setTimeout(() => back.resolve(false), timeoutMs);
    try {
      return await back.promise;
    } finally {
      clearTimeout(timer);
      stop();
    }
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type !== "disconnect" && type !== "reconnect" && type !== "close") continue;
      this.connected = type === "reconnect";
      for (const listener of this.#listeners) listener(this.connected);
    }
  }
}
