import type { Coordinates } from "../../shared/protocol/messages.ts";
import type { HealthState } from "../health/verdict.ts";

/** A leaf as far as a choice depends on it. */
export interface RouteNode {
  readonly name: string;
  readonly region: string;
  readonly coordinates: Coordinates | null;
  readonly capabilities: readonly string[];
  readonly health: HealthState;
  /** Suspected, or coming and going: still up, but the others are asked first. */
  readonly doubtful: boolean;
  /** Domains that its copy follows; `*` is all. */
  readonly domains: readonly string[];
  /** What its programs handle, as `orders.Place` or `orders.>`; null: its agent does not say. */
  readonly handlers: readonly string[] | null;
  /** How old the oldest event is that its copy lacks, seconds; null: not known. */
  readonly lagS: number | null;
  /** Round trip of its link, ms; null: not measured. */
  readonly rttMs: number | null;
}

/** How busy a leaf is. Kept apart from the rest: it changes with every command and filters nobody. */
export interface NodeLoad {
  /** As its agent reports it: runnable processes. */
  readonly reported: number;
  /** Commands that were sent to it and are not answered yet. */
  readonly inFlight: number;
}

export const STRATEGIES = ["round-robin", "least-loaded", "location-aware", "capability-based"] as const;
export type StrategyName = (typeof STRATEGIES)[number];

/** Where the caller would like the work to be done. */
export interface Near {
  readonly region: string | null;
  readonly coordinates: Coordinates | null;
}

/** A command that looks for a leaf. */
export interface RouteRequest {
  readonly domain: string;
  readonly command: string;
  /** Capabilities that the leaf must have. */
  readonly require: readonly string[];
  readonly near: Near | null;
  readonly strategy: StrategyName;
  /** Copies that lag more are passed over, seconds; null: none is. */
  readonly maxLagS: number | null;
  /** Also leaves whose agents announced no program for it: they may have one since a moment ago. */
  readonly unannounced: boolean;
}

/** A node with what changes too often to be part of it. `at` orders the nodes of a view. */
export interface RouteEntry {
  readonly at: number;
  readonly node: RouteNode;
  readonly load: NodeLoad;
}
