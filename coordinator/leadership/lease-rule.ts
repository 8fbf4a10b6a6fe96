/** The lease as it stands in the control bucket. */
export interface LeaseRecord {
  /** Which coordinator holds it: the same again after a restart. */
  readonly holder: string;
  /** Which run of it. */
  readonly run: string;
}

export interface LeaseSeen {
  readonly record: LeaseRecord | undefined;
  /** The bucket's revision of the record; 0: there is none. */
  readonly revision: number;
}

export interface LeaseTiming {
  /** The holder writes it anew that often. */
  readonly renewMs: number;
  /** A revision that stays the same for so long is nobody's. */
  readonly leaseMs: number;
}

/** Another takes over within two seconds of a death: the lease, a look in between, and the reign's record. */
export const LEASE_TIMING: LeaseTiming = { renewMs: 400, leaseMs: 1400 };

export type LeaseStep = { readonly kind: "claim"; readonly revision: number } | { readonly kind: "wait" };

/**
 * Whether to claim a lease. Times are the observer's own monotonic clock: no two machines' clocks are ever compared. A
 * holder that comes back after a restart takes its own lease at once; the log's expectations fence the run before it.
 */
export function leaseStep(
  me: LeaseRecord,
  seen: LeaseSeen,
  unchangedForMs: number,
  timing: LeaseTiming = LEASE_TIMING,
): LeaseStep {
  const { record, revision } = seen;
  if (!record || record.holder === me.holder || unchangedForMs >= timing.leaseMs)
    return { kind: "claim", revision };
  return { kind: "wait" };
}
