import type { Contracts } from "./contract.ts";

/**
 * How long the log has to keep events, days, so that every domain is kept for as long as its contract says. The log is one:
 * it is purged from its beginning, and what is taken out of its middle would look like damage to every copy.
 */
export function logRetentionDays(ofLog: number, { domains }: Contracts): number {
  return Math.max(ofLog, ...Object.values(domains).map(({ retentionDays }) => retentionDays ?? 0));
}
