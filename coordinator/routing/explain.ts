import type { RefusalReason } from "./decide.ts";
import { EXCLUSIONS, type Exclusion, exclusionOf, exclusionWords } from "./filters.ts";
import type { RouteRequest } from "./route-node.ts";
import type { RouteView } from "./route-view.ts";
import { busyness, STRATEGY, standingOf } from "./strategies.ts";

/** A leaf as the choice saw it. */
export interface Candidate {
  readonly node: string;
  readonly region: string;
  /** Why it was left out; null: it fits. */
  readonly excluded: Exclusion | null;
  /** Lower is better; null where it was left out. */
  readonly standing: number | null;
  readonly busyness: number;
  /** Among the best, between which the strategy picks. */
  readonly best: boolean;
  /** What speaks for it, or why it was left out. */
  readonly why: string;
}

/** A choice with all that led to it. */
export interface Explanation {
  readonly request: RouteRequest;
  readonly chosen: string | null;
  readonly refused: RefusalReason | null;
  readonly candidates: readonly Candidate[];
}

/** Explains the choice that `decide` makes with the same arguments, by looking at every node. Pure. */
export function explain(request: RouteRequest, view: RouteView, turn: number): Explanation {
  const strategy = STRATEGY[request.strategy];
  const near = view.nearOf(request);
  const judged = [...view.entries()].map((entry) => {
    const excluded = exclusionOf(entry.node, request) ?? null;
    return {
      entry,
      excluded,
      standing: excluded === null ? standingOf(entry.node, request, near) : null,
    };
  });
  const least = Math.min(...judged.flatMap(({ standing }) => standing ?? []));
  const best = judged.filter(({ standing }) => standing === least);
  const chosen =
    best.length === 0
      ? null
      : strategy.pick(
          best.map(({ entry }) => entry),
          turn,
        ).node.name;
  const reasons = judged.flatMap(({ excluded }) => excluded ?? []);
  const last = EXCLUSIONS.findLast((one) => reasons.includes(one)) ?? "no-nodes";
  return {
    request,
    chosen,
    refused: chosen === null ? last : null,
    candidates: judged.map(({ entry, excluded, standing }) => ({
      node: entry.node.name,
      region: entry.node.region,
      excluded,
      standing,
      busyness: busyness(entry),
      best: standing !== null && standing === least,
      why:
        excluded === null
          ? [entry.node.doubtful && "in doubt", strategy.words(entry, request, near)]
              .filter((word) => word !== false && word !== "")
              .join(", ")
          : exclusionWords(excluded, entry.node, request),
    })),
  };
}
