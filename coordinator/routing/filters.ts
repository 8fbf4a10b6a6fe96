import { coversCommand } from "../../shared/protocol/commands.ts";
import type { RouteNode, RouteRequest } from "./route-node.ts";

/**
 * Why a leaf can't be chosen, in the order of looking: what a person configured first, what passes by itself last.
 * A refusal is named after the last one that still left somebody out.
 */
export const EXCLUSIONS = ["no-capability", "not-subscribed", "no-handler", "not-up", "lagging"] as const;
export type Exclusion = (typeof EXCLUSIONS)[number];

/** Why this leaf can't be chosen for it; undefined: it can. Pure. */
export function exclusionOf(node: RouteNode, request: RouteRequest): Exclusion | undefined {
  for (const capability of request.require) {
    if (!node.capabilities.includes(capability)) return "no-capability";
  }
  if (!follows(node.domains, request.domain)) return "not-subscribed";
  if (!request.unannounced && !handles(node.handlers, request.domain, request.command)) return "no-handler";
  if (node.health !== "up") return "not-up";
  if (request.maxLagS !== null && node.lagS !== null && node.lagS > request.maxLagS) return "lagging";
  return undefined;
}

const follows = (domains: readonly string[], domain: string): boolean =>
  domains.includes("*") || domains.includes(domain);

/** Whether one of these patterns covers the command. Who does not say what it handles may handle it. */
export function handles(handlers: readonly string[] | null, domain: string, command: string): boolean {
  if (handlers === null) return true;
  return handlers.some((pattern) => coversCommand(pattern, domain, command));
}

/** Why, in words for a person. */
export function exclusionWords(why: Exclusion, node: RouteNode, request: RouteRequest): string {
  switch (why) {
    case "no-capability": {
      const missing = request.require.filter((one) => !node.capabilities.includes(one));
      return `has not the capability ${missing.join(", ")}`;
    }
    case "not-subscribed":
      return `does not follow the domain ${request.domain} (${node.domains.join(", ") || "keeps no copy"})`;
    case "no-handler":
      return `no program there handles ${request.domain}.${request.command}`;
    case "not-up":
      return `is ${node.health}`;
    case "lagging":
      return `its copy lags ${Math.round(node.lagS ?? 0)} s, more than ${request.maxLagS} s`;
  }
}
