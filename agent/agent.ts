import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../shared/config/index.ts";
import { configNotes } from "../shared/config/index.ts";
import type { Daemon } from "../shared/daemon/daemon-command.ts";
import { OwnServer } from "../shared/daemon/own-server.ts";
import { LINK_PATIENCE } from "../shared/nats/link-patience.ts";
import type { LinkChange } from "../shared/nats/link-table.ts";
import { Conditions } from "../shared/observe/conditions.ts";
import { HttpServer } from "../shared/observe/http-server.ts";
import { createLog, type Log } from "../shared/observe/log.ts";
import { Metrics } from "../shared/observe/metrics.ts";
import { inboxPrefix } from "../shared/protocol/subjects.ts";
import { readCopyState } from "./downlink/copy-state.ts";
import { Downlink } from "./downlink/downlink.ts";
import { OwnNode } from "./own-node.ts";
import { RefusedEvents } from "./uplink/refused-events.ts";

/** A leaf's daemon: declares the local streams, ships the outbox up, keeps the copy, says how the node is. */
export class Agent implements Daemon {
  #config: Config;
  readonly #log: Log;
  readonly #conditions = new Conditions();
  readonly #metrics: Metrics;
  readonly #http: HttpServer;
  readonly #server: OwnServer;
  #own: OwnNode | undefined;
  #downlink: Downlink | undefined;
  #newestMs = 0;

  constructor(config: Config) {
    this.#config = config;
    this.#log = createLog({ name: "cim-agent", level: config.logLevel, node: config.node });
    this.#metrics = new Metrics({ by: ["agent"], conditions: this.#conditions });
    this.#server = new OwnServer({
      config,
      program: "cim-agent",
      conditions: this.#conditions,
      log: this.#log,
      onServer: (up) => this.#wayToHub(up),
      onLink: (change) => this.#onLink(change),
    });
    this.#http = new HttpServer({
      listen: config.http,
      log: this.#log,
      conditions: this.#conditions,
      metrics: this.#metrics,
      tokenFile: config.httpTokenFile,
    });
  }

  async start(): Promise<this> {
    const config = this.#config;
    const { node } = config;
    this.#conditions.raise("starting");
    this.#conditions.subscribe(({ kind, condition }) => {
      this.#log.info({ condition: condition.code, change: kind, text: condition.text }, "condition");
    });
    for (const note of configNotes(config)) this.#log.warn({ note }, "configuration");
    await this.#http.start();
    const nc = await this.#server.connect();
    const { position } = config.sync.enabled ? await readCopyState(nc) : { position: undefined };
    this.#own = new OwnNode({
      nc,
      config,
      conditions: this.#conditions,
      metrics: this.#metrics,
      log: this.#log,
      ...(position && { seen: position.reign }),
      ...(config.sync.enabled && { copy: () => this.#copyReport() }),
    });
    this.#own.start();
    if (config.sync.enabled) this.#downlink = this.#newDownlink(nc);
    this.#downlink?.start();
    await this.#server.watch();
    if (this.#server.links.length === 0) this.#conditions.raise("link-down");
    this.#metrics.readFrom("cim_link_up", () => [[{ node }, this.#server.links.length > 0 ? 1 : 0]]);
    this.#conditions.clear("starting");
    this.#log.info({ node }, "ready");
    return this;
  }

  async reload(config: Config): Promise<void> {
    const before = this.#config;
    this.#config = { ...before, logLevel: config.logLevel, outbox: config.outbox, sync: config.sync };
    this.#log.level = config.logLevel;
    await this.#server.reconfigure(this.#config);
    if (before.sync.enabled !== config.sync.enabled) {
      this.#log.warn("sync.enabled changes with the next start");
    } else if (JSON.stringify(before.sync.domains) !== JSON.stringify(config.sync.domains)) {
      await this.#downlink?.[Symbol.asyncDispose]();
      this.#downlink = this.#newDownlink(this.#server.nc);
      this.#downlink.start();
    }
    this.#log.info("reloaded: log level, outbox, domains");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#downlink?.[Symbol.asyncDispose]();
    await this.#own?.[Symbol.asyncDispose]();
    await this.#http[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
    this.#log.info("ended");
  }

  #newDownlink(nc: NatsConnection): Downlink {
    const { node, nats, sync } = this.#config;
    return new Downlink({
      nc,
      node,
      hubDomain: nats.hubDomain,
      inboxPrefix: inboxPrefix(node),
      domains: sync.domains,
      drainMs: LINK_PATIENCE[this.#config.heartbeat.preset].drainMs,
      conditions: this.#conditions,
      log: this.#log.child({ part: "downlink" }),
      refused: new RefusedEvents(nc, node),
      reship: async (incarnation, seq, signal) =>
        (await this.#own?.uplink.reshipped(incarnation, seq, signal)) ?? false,
      onCopied: (events, ownSeq, newestMs) => {
        this.#metrics.add("cim_copy_events_total", {}, events);
        if (newestMs > 0) this.#newestMs = newestMs;
        if (ownSeq !== undefined) this.#own?.outbox.cameBack(ownSeq);
      },
    });
  }

  #copyReport() {
    const { position, domains = [] } = this.#downlink ?? {};
    return { position, domains, newestMs: this.#newestMs };
  }

  #onLink(change: LinkChange): void {
    this.#log.info({ link: change.kind, hub: change.link.name }, `link ${change.kind}`);
    if (change.kind === "down" && this.#server.links.length > 0) return;
    this.#conditions.set(change.kind === "down", "link-down");
    this.#wayToHub(change.kind === "up");
  }

  /** The way to the hub is open or closed: what is on it will not be answered. */
  #wayToHub(open: boolean): void {
    if (open) {
      this.#own?.uplink.linkUp();
      this.#downlink?.linkUp();
    } else {
      this.#own?.uplink.linkDown();
      this.#downlink?.linkDown();
    }
  }
}
