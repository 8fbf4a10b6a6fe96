import { type Exclusion, exclusionOf } from "./filters.ts";
import type { RouteEntry, RouteNode, RouteRequest } from "./route-node.ts";
import type { RouteView } from "./route-view.ts";
import { STRATEGY, standingOf } from "./strategies.ts";

/**
 * Why no leaf was chosen: there is none at all, or what left the last ones out: the fault that is nearest to being mended.
 */
export type RefusalReason = "no-nodes" | Exclusion;

export type Decision =
  | { readonly kind: "chosen"; readonly node: RouteNode }
  | { readonly kind: "refused"; readonly reason: RefusalReason };

const NOBODY: ReadonlySet<string> = new Set();

/**
 * Chooses a leaf for a command. Pure over the request, the view's nodes and loads, and the turn.
 *
 * @param turn how many requests of this kind came before
 * @param tried leaves that are not to be chosen: they did not take it
 */
export function decide(
  request: RouteRequest,
  view: RouteView,
  turn: number,
  tried: ReadonlySet<string> = NOBODY,
): Decision {
  const best = tried.size === 0 ? view.best(request) : bestBut(tried, request, view);
  if (best.length === 0) {
    const reason = tried.size > 0 ? "no-handler" : (view.whyNobody(request) ?? "no-nodes");
    return { kind: "refused", reason };
  }
  return { kind: "chosen", node: STRATEGY[request.strategy].pick(best, turn).node };
}

/** The best of the others: by looking at every node, which only what went wrong before costs. */
function bestBut(tried: ReadonlySet<string>, request: RouteRequest, view: RouteView): readonly RouteEntry[] {
  const near = view.nearOf(request);
  let best: RouteEntry[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const entry of view.entries()) {
    if (tried.has(entry.node.name) || exclusionOf(entry.node, request) !== undefined) continue;
    const standing = standingOf(entry.node, request, near);
    if (standing < least) best = [];
    if (standing > least) continue;
    least = standing;
    best.push(entry);
  }
  return best;
}
