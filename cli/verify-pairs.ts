import type { ReplicationState } from "../coordinator/fleet/proven.ts";
import type { ReplicationView } from "../coordinator/fleet/replication-view.ts";
import type { Diverged, Finding } from "../coordinator/proof/finding.ts";
import type { VerifyAnswer } from "../coordinator/proof/fleet-proof.ts";

/** The log and one node's copy or outbox, compared. */
export interface VerifiedPair {
  readonly node: string;
  readonly of: Finding["of"];
  readonly state: ReplicationState;
  /** Since when it is not in sync, ISO 8601. */
  readonly since: string | null;
  readonly lagEvents: number | null;
  readonly lagSeconds: number | null;
  readonly estimateS: number | null;
  /** What was compared now; null: nothing could be, for that reason. */
  readonly compared: Pick<
    Finding,
    "look" | "from" | "upTo" | "events" | "hash" | "checkedAt" | "disk"
  > | null;
  readonly reason: string | null;
  readonly difference: Diverged | null;
}

type Result = NonNullable<VerifyAnswer["result"]>;

/** What is told of every origin and copy: how far it is by the fleet's figures, whether it agrees by what was compared now. Pure. */
export function verifiedPairs(
  { origins, copies }: Pick<ReplicationView, "origins" | "copies">,
  { findings, notCompared }: Result,
  domain: string | undefined,
): VerifiedPair[] {
  const pairs: VerifiedPair[] = [];
  const all = [
    ...origins.map((origin) => ({ ...origin, of: "outbox" as const })),
    ...copies.map((copy) => ({ ...copy, of: "copy" as const })),
  ];
  for (const { node, of, state, since, lagEvents, lagSeconds, estimateS, proof } of all) {
    const isThis = (one: { node: string; of: string }) => one.node === node && one.of === of;
    const found = findings.find(isThis);
    // What was found before in another domain is not what is asked about.
    const difference = found?.difference ?? (domain === undefined ? (proof?.difference ?? null) : null);
    const lagging = lagEvents === null ? "unknown" : lagEvents > 0 ? "lagging" : "in-sync";
    pairs.push({
      node,
      of,
      state: difference ? "diverged" : state === "diverged" ? lagging : state,
      since: difference?.since ?? since,
      lagEvents,
      lagSeconds,
      estimateS,
      compared: found ? comparedOf(found) : null,
      reason: notCompared.find(isThis)?.reason ?? null,
      difference,
    });
  }
  // As the fleet lists its nodes, each with its outbox first.
  const nodes = [...new Set(pairs.map(({ node }) => node))];
  return nodes.flatMap((node) => pairs.filter((pair) => pair.node === node));
}

const comparedOf = ({ look, from, upTo, events, hash, checkedAt, disk }: Finding) => ({
  look,
  from,
  upTo,
  events,
  hash,
  checkedAt,
  disk,
});

/** Whether the command ends with 0: what waits for its link is as it should be. */
export const isProven = (pairs: readonly VerifiedPair[]): boolean =>
  pairs.every(({ state }) => state !== "diverged" && state !== "stalled");
