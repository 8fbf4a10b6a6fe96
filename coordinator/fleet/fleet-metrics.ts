import type { Metrics } from "../../shared/observe/metrics.ts";
import type { EventTotals } from "./event-totals.ts";
import type { FleetNode } from "./fleet.ts";
import type { ReplicationView } from "./replication-view.ts";

/** What is known of the fleet, read at each scrape. */
export interface FleetFacts {
  readonly hub: string;
  readonly totals: EventTotals;
  readonly nodes: () => readonly FleetNode[];
  readonly replication: () => ReplicationView;
}

const STATES = ["up", "unreachable", "down"] as const;

/** Shows the fleet in a coordinator's metrics. */
export function showFleetMetrics(metrics: Metrics, { hub, totals, nodes, replication }: FleetFacts): void {
  metrics.readFrom("cim_events_processed_total", () => totals.events());
  metrics.readFrom("cim_refused_total", () => totals.refusals());
  metrics.readFrom("cim_link_up", () =>
    nodes().map((node) => [{ node: node.name }, node.link.up ? 1 : 0] as const),
  );
  metrics.readFrom("cim_node_health", () =>
    nodes().flatMap(({ name, health }) =>
      STATES.map((state) => [{ node: name, state }, health.state === state ? 1 : 0] as const),
    ),
  );
  metrics.readFrom("cim_replication_lag_events", () => {
    const { origins, copies } = replication();
    return [
      ...origins.map(({ node, lagEvents }) => [{ origin: node, node: hub }, lagEvents ?? 0] as const),
      ...copies.map(({ node, lagEvents }) => [{ origin: "log", node }, lagEvents] as const),
    ];
  });
  metrics.readFrom("cim_replication_lag_seconds", () => {
    const { origins, copies } = replication();
    return [
      ...origins.map(({ node, lagSeconds }) => [{ origin: node, node: hub }, lagSeconds ?? 0] as const),
      ...copies.map(({ node, lagSeconds }) => [{ origin: "log", node }, lagSeconds] as const),
    ];
  });
}
