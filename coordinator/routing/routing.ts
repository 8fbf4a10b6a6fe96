import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import type { HttpServer } from "../../shared/observe/http-server.ts";
import type { Log } from "../../shared/observe/log.ts";
import type { Metrics } from "../../shared/observe/metrics.ts";
import type { Heartbeat } from "../../shared/protocol/messages.ts";
import type { Fleet, FleetNode } from "../fleet/fleet.ts";
import type { ReplicationView } from "../fleet/replication-view.ts";
import { CommandRouter } from "./command-router.ts";
import { FleetRoutes } from "./fleet-routes.ts";
import { RouteAsks } from "./route-ask.ts";
import { addRoutesApi } from "./routes-api.ts";

export interface RoutingInit {
  readonly config: Config;
  readonly fleet: Fleet;
  readonly http: HttpServer;
  readonly metrics: Metrics;
  readonly log: Log;
  /** After this process stood still: whether it still leads. */
  readonly stillLeads: () => Promise<boolean>;
}

/** Which leaf a command goes to: the view that is chosen in, commands on their way, and the answer over HTTP. */
export class Routing {
  readonly #init: RoutingInit;
  readonly #routes: FleetRoutes;
  readonly #asks: RouteAsks;
  #router: CommandRouter | undefined;
  #leads = false;
  #decisions = 0;

  constructor(init: RoutingInit) {
    this.#init = init;
    const { config, fleet, http } = init;
    this.#asks = new RouteAsks(config.routing);
    this.#routes = new FleetRoutes({
      fleet,
      maxLagS: config.routing.maxLagS,
      now: Date.now,
      onChange: () => this.#router?.changed(),
      onUnreachable: (node) => this.#router?.lost(node),
    });
    addRoutesApi(http, { view: this.#routes.view, asks: this.#asks });
  }

  start(nc: NatsConnection): void {
    const { config, metrics, log, stillLeads } = this.#init;
    this.#routes.start();
    this.#router = new CommandRouter({
      nc,
      hub: config.node,
      here: { region: config.region, coordinates: config.coordinates },
      view: this.#routes.view,
      asks: this.#asks,
      stillLeads,
      tells: (node, domain, command) => this.#routes.tells(node, domain, command),
      onChosen: () => {
        this.#decisions += 1;
      },
      onRefused: (reason) => metrics.add("cim_route_refusals_total", { reason }),
      log: log.child({ part: "routing" }),
    });
    metrics.readFrom("cim_route_decisions_total", () => [[{}, this.#decisions]]);
    metrics.readFrom("cim_commands_in_flight", () => [[{}, this.#router?.underWay ?? 0]]);
    if (this.#leads) this.#router.lead();
  }

  /** Whether this coordinator is the one that commands are sent on by. */
  lead(leads: boolean): void {
    this.#leads = leads;
    if (leads) this.#router?.lead();
    else this.#router?.stop();
  }

  /** Takes over what can be changed while it runs; who keeps routes is told. */
  configure({ routing }: Config): void {
    this.#asks.configure(routing);
    this.#routes.maxLagS = routing.maxLagS;
    this.#router?.changed();
  }

  heard(heartbeat: Heartbeat): void {
    this.#routes.heard(heartbeat);
  }

  /** A leaf's link went down: what it had is not answered any more. */
  linkDown(node: string): void {
    this.#router?.lost(node);
  }

  measured(copies: ReplicationView["copies"], nodes: readonly FleetNode[]): void {
    this.#routes.measured(copies, nodes);
  }

  stop(): void {
    this.#routes.stop();
    this.#router?.stop();
  }
}
