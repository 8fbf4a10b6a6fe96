import { type Heartbeat, PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";

/** What an agent that is well says. */
export function heartbeatOf(node: string, change: Partial<Heartbeat> = {}): Heartbeat {
  return {
    version: PROTOCOL_VERSION,
    build: "0.1.0",
    node,
    run: `run of ${node}`,
    startedMs: 0,
    sentMs: 0,
    intervalMs: 250,
    region: "eu",
    capabilities: [],
    incarnation: 1,
    reign: null,
    outbox: { first: 1, last: 1, bytes: 1_000, maxBytes: 1_000_000, confirmed: 1, oldestUnshippedS: 0 },
    copy: null,
    load: 0.1,
    disk: { freeBytes: 1e10, runwayS: null },
    conditions: [],
    ...change,
  };
}
