/** How long to wait before the n-th try: doubling from `firstMs` up to `capMs`. */
export interface ReconnectPolicy {
  readonly firstMs: number;
  readonly capMs: number;
}

/** Towards anything that a network lies between. */
export const REMOTE_POLICY: ReconnectPolicy = { firstMs: 50, capMs: 2_000 };

/**
 * Towards the node's own server on loopback: asking costs nothing, and what waits here is missing from the time
 * in which shipping resumes after that server was restarted.
 */
export const LOOPBACK_POLICY: ReconnectPolicy = { firstMs: 50, capMs: 250 };

/**
 * The wait before try `attempt` (0 is the first repetition), in milliseconds. Half of it is fixed and half is
 * random ("equal jitter", Marc Brooker, "Exponential Backoff And Jitter", 2015), so that many leaves that lost
 * one hub at the same moment do not come back at the same moment, and none comes back at once.
 * There is no last try: a daemon of an edge node has nothing better to do than to go on.
 *
 * @param random a number in [0, 1)
 */
export function backoffMs(
  attempt: number,
  policy: ReconnectPolicy = REMOTE_POLICY,
  random: number = Math.random(),
): number {
  const ceilingMs = Math.min(policy.capMs, policy.firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceilingMs / 2 + (ceilingMs / 2) * random);
}

/** Counts tries for `backoffMs`; `reset` when one succeeded. */
export class Backoff {
  readonly #policy: ReconnectPolicy;
  readonly #random: () => number;
  #attempt = 0;

  constructor(policy: ReconnectPolicy = REMOTE_POLICY, random: () => number = Math.random) {
    this.#policy = policy;
    this.#random = random;
  }

  get attempts(): number {
    return this.#attempt;
  }

  nextMs(): number {
    return backoffMs(this.#attempt++, this.#policy, this.#random());
  }

  reset(): void {
    this.#attempt = 0;
  }
}

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

/** The policy towards a server's URL (`nats://host:port`, or `host:port`). */
export function policyFor(url: string): ReconnectPolicy {
  const host = /^(?:[a-z-]+:\/\/)?(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)/.exec(url)?.[1] ?? "";
  return LOOPBACK_HOST.test(host) ? LOOPBACK_POLICY : REMOTE_POLICY;
}
