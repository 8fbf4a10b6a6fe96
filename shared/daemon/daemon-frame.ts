import type { NatsConnection } from "@nats-io/transport-node";
import { type Config, configNotes } from "../config/index.ts";
import type { LinkChange } from "../nats/link-table.ts";
import { Conditions } from "../observe/conditions.ts";
import { HttpServer } from "../observe/http-server.ts";
import { createLog, type Log } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { OwnServer } from "./own-server.ts";

export interface DaemonFrameInit {
  readonly config: Config;
  readonly program: "cim-agent" | "cim-coordinator";
  /** Whose metrics are shown. */
  readonly metrics: readonly ("agent" | "coordinator")[];
  readonly onServer: (up: boolean) => void;
  readonly onLink: (change: LinkChange) => void;
}

/** What every daemon stands in: its log, conditions, metrics, HTTP and its node's server. */
export class DaemonFrame {
  readonly #config: Config;
  readonly log: Log;
  readonly conditions = new Conditions();
  readonly metrics: Metrics;
  readonly http: HttpServer;
  readonly server: OwnServer;
  /** What tells others that this node is there. */
  readonly #registrations: Promise<AsyncDisposable>[] = [];

  constructor({ config, program, metrics, onServer, onLink }: DaemonFrameInit) {
    this.#config = config;
    this.log = createLog({ name: program, level: config.logLevel, node: config.node });
    this.metrics = new Metrics({ by: metrics, conditions: this.conditions });
    const { conditions, log } = this;
    this.server = new OwnServer({ config, program, conditions, log, onServer, onLink });
    this.http = new HttpServer({
      listen: config.http,
      log,
      conditions,
      metrics: this.metrics,
      tokenFile: config.httpTokenFile,
    });
  }

  /** Answers over HTTP, not ready yet, and connects. @throws HttpListenError and what `OwnServer.connect` throws */
  async open(): Promise<NatsConnection> {
    this.conditions.raise("starting");
    this.conditions.subscribe(({ kind, condition }) => {
      this.log.info({ condition: condition.code, change: kind, text: condition.text }, "condition");
    });
    for (const note of configNotes(this.#config)) this.log.warn({ note }, "configuration");
    await this.http.start();
    return await this.server.connect();
  }

  ready(): void {
    this.conditions.clear("starting");
    this.log.info("ready");
    if (this.#config.discovery.consulRegister) this.#registrations.push(this.#register());
    if (this.#config.discovery.mdnsAnnounce) this.#registrations.push(this.#announce());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    for (const registration of this.#registrations) await (await registration)[Symbol.asyncDispose]();
    this.log.info("ended");
  }

  /** Loaded only where it is asked for. */
  async #register(): Promise<AsyncDisposable> {
    const { ConsulRegistration } = await import("../discovery/consul/consul-registration.ts");
    const log = this.log.child({ part: "consul" });
    const { discovery } = this.#config;
    const about = { ...this.#about(), service: discovery.consulService };
    return new ConsulRegistration({ ...about, place: discovery, log }).start();
  }

  async #announce(): Promise<AsyncDisposable> {
    const { MdnsAnnouncer } = await import("../discovery/mdns/mdns-announcer.ts");
    const log = this.log.child({ part: "mdns" });
    const { discovery } = this.#config;
    return new MdnsAnnouncer({
      about: this.#about(),
      service: discovery.dnsQuery,
      place: discovery,
      log,
    }).start();
  }

  #about() {
    const { node, role, region, capabilities, nats } = this.#config;
    return { node, role, region, capabilities, natsUrl: nats.url, leafListen: nats.leafListen };
  }
}
