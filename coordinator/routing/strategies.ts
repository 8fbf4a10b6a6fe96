import type { Coordinates } from "../../shared/protocol/messages.ts";
import { distanceKm } from "./distance.ts";
import type { RouteEntry, RouteNode, RouteRequest, StrategyName } from "./route-node.ts";

/**
 * A way to choose among the leaves that fit. It gives each a standing, and picks one of those whose standing is best. Both
 * are pure: the same request, nodes, loads and turn give the same choice.
 */
export interface Strategy {
  /**
   * Lower is better. Depends on what seldom changes, so that the best can be kept at hand; alike for those among which the
   * work is to be spread.
   */
  standing(node: RouteNode, request: RouteRequest, near: Coordinates | null): number;
  /** Picks one of the best; there is at least one. `turn` counts the requests of a kind. */
  pick(best: readonly RouteEntry[], turn: number): RouteEntry;
  /** What it goes by, for a person. */
  words(entry: RouteEntry, request: RouteRequest, near: Coordinates | null): string;
}

const byTurn = (best: readonly RouteEntry[], turn: number): RouteEntry =>
  best[turn % best.length] as RouteEntry;

const roundRobin: Strategy = {
  standing: () => 0,
  pick: byTurn,
  words: () => "",
};

/**
 * The power of two choices (Mitzenmacher, 2001): the less loaded of two that chance picks. Almost as even as asking all,
 * and with a report that is a moment old better than that: not everybody runs to the one that was idle.
 */
const leastLoaded: Strategy = {
  standing: () => 0,
  pick(best, turn) {
    const count = best.length;
    const first = best[scattered(turn) % count] as RouteEntry;
    if (count === 1) return first;
    const other = (scattered(turn) + 1 + (scattered(turn ^ 0x5bd1e995) % (count - 1))) % count;
    const second = best[other] as RouteEntry;
    return busyness(second) < busyness(first) ? second : first;
  },
  words: ({ load }) => `load ${load.reported.toFixed(2)}, ${load.inFlight} in flight`,
};

/** Grows with both: a busy machine does each further command more slowly. */
export const busyness = ({ load }: RouteEntry): number => (1 + load.inFlight) * (1 + load.reported);

/** A turn's number, scattered over 32 bits (the finaliser of MurmurHash3): chance that can be repeated. */
function scattered(turn: number): number {
  let h = turn | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const FAR = 999;

/**
 * First the caller's region, then the distance, then the round trip of the link. Distances and round trips that differ by
 * less than a half are alike: work is spread among neighbours instead of all going to one that is a hair nearer.
 */
const locationAware: Strategy = {
  standing(node, request, near) {
    const elsewhere = request.near?.region == null || node.region === request.near.region ? 0 : 1;
    const distance =
      near === null ? 0 : node.coordinates === null ? FAR : halves(distanceKm(near, node.coordinates));
    return (elsewhere * 1000 + distance) * 1000 + (node.rttMs === null ? FAR : halves(node.rttMs));
  },
  pick: byTurn,
  words({ node }, request, near) {
    const words = [`region ${node.region}`];
    if (near && node.coordinates) words.push(`${Math.round(distanceKm(near, node.coordinates))} km`);
    if (node.rttMs !== null) words.push(`round trip ${node.rttMs.toFixed(1)} ms`);
    if (request.near === null) words.push("nobody said near what");
    return words.join(", ");
  },
};

/** Steps of one half: up to 1, 1.5, 2.25, … */
const halves = (value: number): number =>
  Math.min(FAR - 1, Math.round(Math.log(Math.max(1, value)) / Math.log(1.5)));

/** Those first that can least besides: who can much is kept free for what nobody else can. */
const capabilityBased: Strategy = {
  standing: (node, request) => node.capabilities.length - request.require.length,
  pick: byTurn,
  words: ({ node }, request) => {
    const besides = node.capabilities.filter((one) => !request.require.includes(one));
    return besides.length === 0 ? "can nothing besides" : `can ${besides.join(", ")} besides`;
  },
};

export const STRATEGY: Readonly<Record<StrategyName, Strategy>> = {
  "round-robin": roundRobin,
  "least-loaded": leastLoaded,
  "location-aware": locationAware,
  "capability-based": capabilityBased,
};

/** Above every standing of a strategy: doubtful nodes are asked when no other is left. */
export const DOUBT = 1e9;

/** A node's standing with what holds for every strategy. */
export function standingOf(node: RouteNode, request: RouteRequest, near: Coordinates | null): number {
  return STRATEGY[request.strategy].standing(node, request, near) + (node.doubtful ? DOUBT : 0);
}
