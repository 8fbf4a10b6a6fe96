import type { NatsConnection } from "@nats-io/transport-node";
import { type Config, configNotes } from "../config/index.ts";
import type { LinkChange } from "../nats/link-table.ts";
import { Conditions } from "../observe/conditions.ts";
import { HttpServer } from "../observe/http-server.ts";
import { createLog, type Log } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { OwnEntries } from "./own-entries.ts";
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
  readonly #entries: OwnEntries;

  constructor({ config, program, metrics, onServer, onLink }: DaemonFrameInit) {
    this.#config = config;
    this.log = createLog({ name: program, level: config.logLevel, node: config.node });
    this.metrics = new Metrics({ by: metrics, conditions: this.conditions });
    this.#entries = new OwnEntries(this.log);
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
    this.#entries.configure(this.#config);
  }

  /** Takes over what of a new configuration concerns this node's entries elsewhere. */
  reconfigure(config: Config): void {
    this.#entries.configure(config);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.#entries[Symbol.asyncDispose]();
    this.log.info("ended");
  }
}
