import { decide, type RefusalReason } from "./decide.ts";
import type { RouteRequest } from "./route-node.ts";
import type { RouteView } from "./route-view.ts";

/** How far the search for a leaf that takes a command has come. */
export interface Attempt {
  readonly request: RouteRequest;
  /** Leaves that had it, or where nobody listened. */
  readonly tried: ReadonlySet<string>;
  /** Nobody is left whose agent announces a program for it. One may have begun a moment ago: that is tried out now. */
  readonly unannounced: boolean;
}

export type NextStep =
  | { readonly kind: "send"; readonly node: string; readonly attempt: Attempt }
  | { readonly kind: "refuse"; readonly reason: RefusalReason };

/** Leaves that announce no program for a command are asked at most so many. */
const MOST_UNANNOUNCED = 8;

/**
 * The next leaf to send a command to: first the ones that announce a program for it, then the ones that could have one. Pure
 * over its arguments.
 *
 * @param turns counts the requests of a kind
 * @param maySeek whether ones that announce nothing may be asked: not where nobody could tell that nobody listened
 */
export function nextStep(
  attempt: Attempt,
  view: RouteView,
  turns: (request: RouteRequest) => number,
  maySeek: boolean,
): NextStep {
  const { request, tried } = attempt;
  const turn = turns(request);
  if (!attempt.unannounced) {
    const decision = decide(request, view, turn, tried);
    if (decision.kind === "chosen") return sendTo(decision.node.name, attempt);
    if (decision.reason !== "no-handler" || !maySeek) {
      return { kind: "refuse", reason: decision.reason };
    }
  }
  const any = { ...request, unannounced: true };
  if (tried.size < MOST_UNANNOUNCED) {
    const decision = decide(any, view, turn, tried);
    if (decision.kind === "chosen") return sendTo(decision.node.name, { ...attempt, unannounced: true });
    if (decision.reason !== "no-handler") {
      return { kind: "refuse", reason: decision.reason };
    }
  }
  return { kind: "refuse", reason: "no-handler" };
}

function sendTo(node: string, attempt: Attempt): NextStep {
  return { kind: "send", node, attempt: { ...attempt, tried: new Set(attempt.tried).add(node) } };
}
