import type { Finding } from "../proof/finding.ts";
import type { JudgedLag } from "./lag-watch.ts";

/**
 * in-sync: all is there. lagging: what is missing is on its way, or waits for a link. stalled: it could be on its way, and
 * nothing moves. diverged: what is there is not what the log has. unknown: the node has not been heard.
 */
export type ReplicationState = "in-sync" | "lagging" | "stalled" | "diverged" | "unknown";

/** Whether an origin or a copy is as it should be, since when it is not, and what that is known from. */
export interface Proven {
  readonly state: ReplicationState;
  /** Since when it lags or was found to differ, ISO 8601; null: it is in sync. */
  readonly since: string | null;
  /** Until it will have caught up, seconds; null: it does not lag, or the lag does not shrink. */
  readonly estimateS: number | null;
  /** The last comparison with the log; null: none yet. */
  readonly proof: Omit<Finding, "node" | "of"> | null;
}

/** Pure. @param lagEvents null: not known */
export function provenOf(
  lagEvents: number | null,
  { course, state }: JudgedLag,
  finding: Finding | undefined,
): Proven {
  const proof = finding ? withoutNames(finding) : null;
  if (finding?.difference)
    return { state: "diverged", since: finding.difference.since, estimateS: null, proof };
  if (lagEvents === null) return { state: "unknown", since: null, estimateS: null, proof };
  // Heard since it was judged last.
  if (lagEvents === 0) return { state: "in-sync", since: null, estimateS: null, proof };
  return {
    state: state === "stalled" ? "stalled" : "lagging",
    since: course.sinceMs === undefined ? null : new Date(course.sinceMs).toISOString(),
    estimateS: course.estimateS === undefined ? null : Math.ceil(course.estimateS),
    proof,
  };
}

function withoutNames({ node: _, of: __, ...rest }: Finding): Omit<Finding, "node" | "of"> {
  return rest;
}
