/** What is known of a node's life. */
export interface HealthEvidence {
  /** Its link to the hub is up. */
  readonly linked: boolean;
  /** Since its last heartbeat came, ms; undefined: none ever came. */
  readonly silentForMs: number | undefined;
  /** How often it sends one. */
  readonly intervalMs: number;
}

export type HealthState = "up" | "unreachable" | "down";

export interface Health {
  readonly state: HealthState;
  readonly evidence: readonly string[];
}

/** Three heartbeats may get lost or be late before their absence means something. */
const MISSED = 4;

/**
 * Up: it speaks. Unreachable: nothing of it answers, so it may well be working. Down: something of it proves that it
 * does not work, as when its server holds the link while its agent is silent.
 */
export function judgeHealth(evidence: HealthEvidence): Health {
  const { linked, silentForMs, intervalMs } = evidence;
  const speaks = silentForMs !== undefined && silentForMs < intervalMs * MISSED;
  const heartbeat =
    silentForMs === undefined ? "no heartbeat yet" : `last heartbeat ${Math.round(silentForMs)} ms ago`;
  const link = linked ? "link up" : "link down";
  if (speaks) return { state: "up", evidence: [heartbeat, link] };
  if (!linked) return { state: "unreachable", evidence: [link, heartbeat] };
  return { state: "down", evidence: ["its server holds the link", `its agent is silent: ${heartbeat}`] };
}
