import type { SourceState } from "../../shared/discovery/discovery.ts";
import { VERSION } from "../../shared/observe/build-info.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { EventFeed } from "../../shared/observe/event-feed.ts";
import { type HttpServer, httpError, json } from "../../shared/observe/http-server.ts";
import type { FleetNode } from "../fleet/fleet.ts";
import type { ReplicationView } from "../fleet/replication-view.ts";

export interface ApiSources {
  readonly node: string;
  readonly leader: () => {
    readonly leads: boolean;
    readonly holder: string | null;
    readonly reign: string | null;
  };
  readonly nodes: () => FleetNode[];
  readonly discovery: () => SourceState[];
  readonly replication: () => ReplicationView;
  readonly conditions: Conditions;
  readonly events: EventFeed;
}

/** The coordinator's read side over HTTP. */
export function addApi(http: HttpServer, from: ApiSources): void {
  http.route("GET", "/api/v1/status", () => json(status(from)));
  http.route("GET", "/api/v1/nodes", () => json({ nodes: from.nodes() }));
  http.route("GET", "/api/v1/nodes/:node", ({ params }) => {
    const name = params.node ?? "";
    const node = from.nodes().find((one) => one.name === name);
    return node ? json(node) : httpError(404, `no node "${name}"; /api/v1/nodes lists them`);
  });
  http.route("GET", "/api/v1/discovery", () => json({ sources: from.discovery() }));
  http.route("GET", "/api/v1/events", () => ({ events: from.events }));
  http.route("GET", "/api/v1/replication", () => json(from.replication()));
}

/** `/api/v1/status`: the fleet at a glance. */
export type FleetStatus = ReturnType<typeof status>;

function status(from: ApiSources) {
  const nodes = from.nodes();
  const count = (state: string) => nodes.filter((node) => node.health.state === state).length;
  const replication = from.replication();
  const behind = replication.origins.filter(({ lagEvents }) => (lagEvents ?? 0) > 0);
  return {
    version: VERSION,
    hub: from.node,
    ...from.leader(),
    log: replication.log,
    nodes: { total: nodes.length, up: count("up"), unreachable: count("unreachable"), down: count("down") },
    lag: {
      originsBehind: behind.length,
      events: behind.reduce((total, { lagEvents }) => total + (lagEvents ?? 0), 0),
      seconds: Math.max(0, ...behind.map(({ lagSeconds }) => lagSeconds ?? 0)),
      copiesBehind: replication.copies.filter(({ lagEvents }) => lagEvents > 0).length,
    },
    conditions: [
      ...from.conditions.list(),
      ...nodes.flatMap(({ name, heartbeat }) =>
        (heartbeat?.conditions ?? []).map((one) => ({ ...one, node: name })),
      ),
    ],
  };
}
