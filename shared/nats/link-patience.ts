/** How long a node's server waits on its link before it calls it dead. Durations as nats-server writes them. */
export interface LinkPatience {
  /** How often a leaf looks for a hub it has lost. Below this nothing is gained: a server needs as long to start. */
  readonly relinkInterval: string;
  readonly pingInterval: string;
  /** Pings without an answer after which the link is closed; silence is noticed after about one interval more. */
  readonly pingMax: number;
  /**
   * What is on its way over the link at any time, in either direction, must drain within this many ms: a leaf's server
   * pings whatever else it hears, and an answer that waits behind more data than that comes too late. The link is then
   * closed as stale, and closed again at the next try with as much. (On 64 kbit/s and lan a block of 16 KiB passes,
   * one of 32 KiB never does.)
   */
  readonly drainMs: number;
  readonly dialTimeout: string;
  readonly firstInfoTimeout: string;
  readonly authTimeout: string;
}

/**
 * By the network that the heartbeat is meant for. lan: silence is seen in about three seconds. A slower network
 * needs more than its round trip, and more than the time in which what is queued before a ping drains.
 */
export const LINK_PATIENCE: Readonly<Record<"lan" | "wan" | "satellite", LinkPatience>> = {
  lan: {
    relinkInterval: "200ms",
    pingInterval: "1s",
    pingMax: 2,
    drainMs: 1_500,
    dialTimeout: "1s",
    firstInfoTimeout: "1s",
    authTimeout: "3s",
  },
  wan: {
    relinkInterval: "500ms",
    pingInterval: "2s",
    pingMax: 3,
    drainMs: 5_000,
    dialTimeout: "2s",
    firstInfoTimeout: "3s",
    authTimeout: "5s",
  },
  satellite: {
    relinkInterval: "2s",
    pingInterval: "5s",
    pingMax: 3,
    drainMs: 12_000,
    dialTimeout: "5s",
    firstInfoTimeout: "10s",
    authTimeout: "15s",
  },
};
