import type { Heartbeat } from "../../shared/protocol/messages.ts";
import type { Fleet, FleetNode } from "../fleet/fleet.ts";
import type { ReplicationView } from "../fleet/replication-view.ts";
import { handles } from "./filters.ts";
import { heldLag, heldRoundTrip } from "./held-values.ts";
import type { RouteNode } from "./route-node.ts";
import { RouteView } from "./route-view.ts";

export interface FleetRoutesInit {
  readonly fleet: Pick<Fleet, "subscribe" | "get" | "list">;
  /** Copies that lag more are passed over, seconds; null: none is. */
  readonly maxLagS: number | null;
  /** The time, ms since the epoch. */
  readonly now: () => number;
  /** Choices may be others now. */
  readonly onChange: () => void;
  /** Nothing of a leaf answers any more. */
  readonly onUnreachable: (node: string) => void;
}

/** Keeps the view in which leaves are chosen as the fleet is. The only part of the routing that knows how a fleet looks. */
export class FleetRoutes {
  readonly view = new RouteView();
  readonly #init: FleetRoutesInit;
  readonly #lagS = new Map<string, number>();
  /** Commands of a leaf for which a program listens that does not say when it is done; none of a leaf that does not say so. */
  readonly #silent = new Map<string, readonly string[]>();
  /** Of those measured from now on. */
  maxLagS: number | null;
  #unsubscribe: (() => void) | undefined;

  constructor(init: FleetRoutesInit) {
    this.#init = init;
    this.maxLagS = init.maxLagS;
  }

  start(): this {
    const { fleet, now } = this.#init;
    this.#unsubscribe = fleet.subscribe(({ kind, node }) => {
      if (kind === "forgotten") this.#forget(node.name);
      else this.#take(node);
    });
    for (const node of fleet.list(now())) this.#take(node);
    return this;
  }

  stop(): void {
    this.#unsubscribe?.();
  }

  /** After the fleet took a heartbeat over. Most change nothing but the load. */
  heard(heartbeat: Heartbeat): void {
    if (heartbeat.silent !== undefined) this.#silent.set(heartbeat.node, heartbeat.silent);
    else this.#silent.delete(heartbeat.node);
    const entry = this.view.get(heartbeat.node);
    if (entry !== undefined) this.view.setLoad(heartbeat.node, { reported: heartbeat.load });
    if (entry !== undefined && isAsBefore(entry.node, heartbeat)) return;
    const node = this.#init.fleet.get(heartbeat.node, this.#init.now());
    if (node) this.#take(node);
  }

  /** Whether all programs on a leaf that handle the command say when they are done. */
  tells(node: string, domain: string, command: string): boolean {
    const silent = this.#silent.get(node);
    return silent !== undefined && !handles(silent, domain, command);
  }

  /** How far the copies are behind, and how long the links take: now and then. */
  measured(copies: ReplicationView["copies"], nodes: readonly FleetNode[]): void {
    this.#lagS.clear();
    for (const { node, lagSeconds } of copies) this.#lagS.set(node, lagSeconds);
    for (const node of nodes) this.#take(node);
  }

  #take(node: FleetNode): void {
    if (node.role !== "leaf") return;
    const { name, region, capabilities, health, heartbeat, link } = node;
    const held = this.view.get(name)?.node;
    const changed = this.view.set({
      name,
      region,
      coordinates: node.coordinates,
      capabilities,
      health: health.state,
      doubtful: health.suspect || health.flapping,
      domains: heartbeat?.copy?.domains ?? [],
      handlers: heartbeat === null ? [] : (heartbeat.handlers ?? null),
      lagS: heldLag(held?.lagS ?? null, this.#lagS.get(name) ?? null, this.maxLagS),
      rttMs: heldRoundTrip(held?.rttMs ?? null, link.rttMs),
    });
    if (changed) this.#init.onChange();
    if (held?.health !== "unreachable" && health.state === "unreachable") this.#init.onUnreachable(name);
  }

  #forget(name: string): void {
    this.#lagS.delete(name);
    this.#silent.delete(name);
    if (this.view.remove(name)) this.#init.onChange();
  }
}

/** What of a heartbeat a choice depends on is as it was. */
function isAsBefore(node: RouteNode, heartbeat: Heartbeat): boolean {
  const { handlers = null, copy, capabilities } = heartbeat;
  return (
    node.health === "up" &&
    String(node.handlers) === String(handlers) &&
    String(node.domains) === String(copy?.domains ?? []) &&
    String(node.capabilities) === String(capabilities)
  );
}
