import type { RefusalReason } from "./decide.ts";
import { exclusionOf, exclusionWords } from "./filters.ts";
import type { RouteRequest } from "./route-node.ts";
import type { RouteView } from "./route-view.ts";

/** How many leaves are named in a sentence. */
const MOST_NAMED = 3;

/** Why no leaf fits, in one sentence that says what would. */
export function refusalWords(reason: RefusalReason, request: RouteRequest, view: RouteView): string {
  const what = `${request.domain}.${request.command}`;
  if (reason === "no-nodes") return `no leaf for ${what}: the fleet has none`;
  const last = [...view.entries()].filter(({ node }) => exclusionOf(node, request) === reason);
  const named = last.slice(0, MOST_NAMED).map(({ node }) => node.name);
  const names = named.join(", ") + (last.length > MOST_NAMED ? ` and ${last.length - MOST_NAMED} more` : "");
  if (reason === "no-capability") {
    const there = [...new Set([...view.entries()].flatMap(({ node }) => node.capabilities))].sort();
    const wanted = request.require.join(", ");
    return `no leaf for ${what}: none has ${wanted}${request.require.length > 1 ? " together" : ""}; there are ${there.join(", ") || "no capabilities at all"}`;
  }
  if (reason === "no-handler") {
    return `no leaf for ${what}: no program handles it on ${names || "any leaf that fits otherwise"}`;
  }
  const [first] = last;
  const why = first === undefined ? reason : exclusionWords(reason, first.node, request);
  return last.length === 1 || first === undefined
    ? `no leaf for ${what}: ${names} ${why}`
    : `no leaf for ${what}: of those that could, ${first.node.name} ${why}${last.length > 1 ? `, and ${last.length - 1} more are left out by the same` : ""}`;
}
