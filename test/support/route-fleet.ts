import type { RouteNode, RouteRequest } from "../../coordinator/routing/route-node.ts";
import { RouteView } from "../../coordinator/routing/route-view.ts";

/** A leaf that fits anything. */
export function routeNode(name: string, over: Partial<RouteNode> = {}): RouteNode {
  return {
    name,
    region: "default",
    coordinates: null,
    capabilities: [],
    health: "up",
    doubtful: false,
    domains: ["*"],
    handlers: null,
    lagS: 0,
    rttMs: null,
    ...over,
  };
}

export function routeView(nodes: readonly RouteNode[]): RouteView {
  const view = new RouteView();
  for (const node of nodes) view.set(node);
  return view;
}

export function routeRequest(over: Partial<RouteRequest> = {}): RouteRequest {
  return {
    domain: "orders",
    command: "Place",
    require: [],
    near: null,
    strategy: "round-robin",
    maxLagS: 60,
    unannounced: false,
    ...over,
  };
}
