import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../shared/config/index.ts";
import { logRetentionDays } from "../shared/consistency/contract/log-retention-days.ts";
import type { Daemon } from "../shared/daemon/daemon-command.ts";
import { DaemonFrame } from "../shared/daemon/daemon-frame.ts";
import { Discovery } from "../shared/discovery/discovery.ts";
import { formatReign } from "../shared/protocol/reign.ts";
import { inboxPrefix } from "../shared/protocol/subjects.ts";
import type { Conflicts } from "./conflicts/conflicts.ts";
import { hubConflicts } from "./conflicts/hub-conflicts.ts";
import { EventTotals } from "./fleet/event-totals.ts";
import { Fleet } from "./fleet/fleet.ts";
import { showFleetMetrics } from "./fleet/fleet-metrics.ts";
import { FleetWatch } from "./fleet/fleet-watch.ts";
import { IngestTimes } from "./fleet/ingest-times.ts";
import { LagWatch } from "./fleet/lag-watch.ts";
import { type ReplicationView, replicationView } from "./fleet/replication-view.ts";
import { Retirement } from "./fleet/retirement.ts";
import { addApi } from "./http/api.ts";
import { Leadership } from "./leadership/leadership.ts";
import { OwnOutbox } from "./own-outbox.ts";
import { ownState } from "./own-state.ts";
import { FleetProof } from "./proof/fleet-proof.ts";
import { LogRetention } from "./retention/log-retention.ts";
import { Routing } from "./routing/routing.ts";
import { keepVersions } from "./sequencer/commits/purged-versions.ts";
import { Sequencer } from "./sequencer/sequencer.ts";

/** What waits is written and the marks with it, so that the next start reads nothing; a slow disk gets so long. */
const DRAIN_TIMEOUT_MS = 3000;
const JUDGE_EVERY_MS = 1000;

/** A hub's daemon: puts the events of all origins in order, knows the nodes, ships the hub's own outbox. */
export class Coordinator implements Daemon {
  #config: Config;
  readonly #frame: DaemonFrame;
  readonly #fleet: Fleet;
  readonly #watch: FleetWatch;
  readonly #discovery: Discovery;
  readonly #routing: Routing;
  readonly #retirement: Retirement;
  readonly #times = new IngestTimes();
  readonly #totals = new EventTotals();
  readonly #lag = new LagWatch();
  readonly #own: OwnOutbox;
  readonly #proof: FleetProof;
  readonly #conflicts: Conflicts;
  readonly #state: ReturnType<typeof ownState>;
  #judgeTimer: NodeJS.Timeout | undefined;
  /** Messages of the log that no sequencer wrote, since this start. */
  #foreign = 0;
  #sequencer: Sequencer | undefined;
  #leadership: Leadership | undefined;
  #retention: LogRetention | undefined;

  constructor(config: Config) {
    this.#config = config;
    this.#fleet = new Fleet(config, Date.now());
    this.#frame = new DaemonFrame({
      config,
      program: "cim-coordinator",
      metrics: ["coordinator", "agent"],
      onServer: (up) => void this.#onServer(up),
      onLink: (change) => {
        this.#watch.onLink(change);
        if (change.kind === "down") this.#routing.linkDown(change.link.name);
      },
    });
    this.#own = new OwnOutbox(this.#frame, config);
    this.#conflicts = hubConflicts(this.#frame, () => this.#config);
    this.#state = ownState(this.#frame, {
      onConflicts: (noted) => this.#conflicts.note(noted),
      holdBack: () => this.#sequencer?.takesBacklog ?? false,
    });
    const { conditions, log } = this.#frame;
    this.#proof = new FleetProof(conditions);
    this.#watch = new FleetWatch({
      fleet: this.#fleet,
      config,
      conditions,
      log,
      contractsHash: () => this.#frame.server.contractsHash,
      onHeard: (heartbeat) => this.#routing.heard(heartbeat),
    });
    this.#routing = new Routing({
      config,
      fleet: this.#fleet,
      http: this.#frame.http,
      metrics: this.#frame.metrics,
      log,
      stillLeads: async () => {
        await this.#leadership?.turn();
        return this.#leadership?.leads ?? false;
      },
    });
    this.#retirement = new Retirement({
      hub: config.node,
      find: (node) => this.#fleet.get(node, Date.now()),
      logged: () => [...(this.#sequencer?.state?.lanes.keys() ?? [])],
      leads: () => this.#sequencer?.reign !== undefined,
      retire: async (node) => (await this.#sequencer?.retire(node)) ?? "not-now",
      onRetired: (node) => {
        log.warn({ retired: node }, "a node was retired");
        this.#fleet.forget(node, Date.now());
      },
    });
    this.#discovery = new Discovery({
      settings: config.discovery,
      conditions: this.#frame.conditions,
      log: this.#frame.log.child({ part: "discovery" }),
      onNodes: (source, nodes) => this.#fleet.onDiscovery(source, nodes),
    });
  }

  async start(): Promise<this> {
    const config = this.#config;
    this.#frame.conditions.raise("coordinator-not-leading");
    this.#serve();
    // Before there is a server: who should be there is known without it.
    await this.#discovery.start();
    const nc = await this.#frame.open();
    this.#sequencer = this.#newSequencer(nc);
    this.#retention = new LogRetention({
      nc,
      inboxPrefix: inboxPrefix(this.#config.node),
      retentionMs: this.#retentionMs(),
      renewReign: () => this.#sequencer?.renew() ?? false,
      beforePurge: async (part) => {
        const of = { nc, inboxPrefix: inboxPrefix(config.node) };
        await keepVersions(of, this.#frame.server.contracts, part);
      },
      foldedSeq: () => this.#state.foldedSeq,
      log: this.#frame.log,
    });
    this.#leadership = this.#newLeadership(nc);
    await this.#leadership.start();
    await this.#watch.start(nc);
    this.#routing.start(nc);
    this.#retirement.start(nc);
    this.#conflicts.start();
    this.#proof.start({
      nc,
      config,
      log: this.#frame.log.child({ part: "proof" }),
      state: () => this.#sequencer?.state,
      nodes: () => this.#nodes(),
    });
    await this.#frame.server.watch();
    this.#judgeTimer = setInterval(() => this.#judge(), JUDGE_EVERY_MS);
    this.#frame.ready();
    return this;
  }

  async reload(config: Config): Promise<void> {
    const next = {
      ...this.#config,
      logLevel: config.logLevel,
      leaves: config.leaves,
      outbox: config.outbox,
      sync: config.sync,
      contracts: config.contracts,
      log: config.log,
      discovery: config.discovery,
      routing: config.routing,
      health: config.health,
      state: config.state,
      cacheSize: config.cacheSize,
      snapshotInterval: config.snapshotInterval,
    };
    // First: contracts that can't be changed like that leave everything as it is.
    await this.#frame.server.reconfigure(next);
    this.#config = next;
    this.#sequencer?.contractsChanged();
    this.#frame.log.level = config.logLevel;
    this.#fleet.configure(this.#config);
    this.#watch.configure(this.#config);
    this.#routing.configure(this.#config);
    await this.#discovery.configure(config.discovery);
    this.#own.reconfigure(this.#config);
    this.#frame.reconfigure(this.#config);
    if (this.#leadership?.leads) await this.#state.keep(this.#config);
    if (this.#retention) this.#retention.retentionMs = this.#retentionMs();
    this.#frame.log.info(
      { leaves: config.leaves.length },
      "reloaded: leaves, contracts, discovery, routing, health, log level, outbox, log",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#judgeTimer);
    // First: a lease that is lost or won while the rest ends must not begin anything.
    await this.#leadership?.end();
    this.#routing.stop();
    this.#retirement.stop();
    await this.#watch[Symbol.asyncDispose]();
    await this.#discovery[Symbol.asyncDispose]();
    await this.#proof[Symbol.asyncDispose]();
    await this.#own.ship(false);
    await this.#state.keep(undefined);
    this.#conflicts[Symbol.dispose]();
    await this.#sequencer?.drain(DRAIN_TIMEOUT_MS);
    await this.#leadership?.[Symbol.asyncDispose]();
    this.#retention?.stop();
    await this.#frame[Symbol.asyncDispose]();
  }

  #retentionMs(): number {
    const { log } = this.#config;
    return LogRetention.ofDays(logRetentionDays(log.retentionDays, this.#frame.server.contracts));
  }

  #newSequencer(nc: NatsConnection): Sequencer {
    const { node, nats } = this.#config;
    return new Sequencer({
      nc,
      inboxPrefix: inboxPrefix(node),
      instance: this.#instance(),
      hub: node,
      contracts: () => this.#frame.server.contracts,
      maxMessageBytes: nats.maxPayload,
      log: this.#frame.log.child({ part: "sequencer" }),
      onRead: (state) => {
        this.#totals.restore(state);
        this.#times.note(state.position?.index ?? 0, Date.now());
      },
      onLeading: (reign) => {
        this.#frame.conditions.clear("coordinator-not-leading");
        this.#frame.conditions.clear("log-unreadable");
        this.#frame.metrics.set("cim_epoch", {}, reign.epoch);
      },
      onLogged: ({ events, refused }) => {
        const nowMs = Date.now();
        this.#frame.metrics.add("cim_log_batches_total", {});
        this.#totals.count(events, refused);
        for (const { appendedUs } of events) {
          this.#frame.metrics.observe(
            "cim_event_processing_duration_seconds",
            (nowMs - appendedUs / 1000) / 1000,
          );
        }
        this.#times.note(this.#sequencer?.state?.position?.index ?? 0, nowMs);
      },
      onStored: this.#proof.written,
      onStore: (error) => this.#frame.conditions.set(error !== undefined, "log-full", { error: error ?? "" }),
      onForeign: (foreign) => {
        this.#foreign += foreign.length;
        const subject = foreign.at(-1)?.subject ?? "";
        this.#frame.metrics.add("cim_foreign_total", {}, foreign.length);
        this.#frame.conditions.raise("log-foreign", { count: this.#foreign, subject });
      },
      onUnreadable: (reason) => this.#frame.conditions.raise("log-unreadable", reason),
    });
  }

  #newLeadership(nc: NatsConnection): Leadership {
    return new Leadership({
      nc,
      holder: this.#instance(),
      log: this.#frame.log.child({ part: "leadership" }),
      onLead: () => {
        this.#sequencer?.lead();
        this.#retention?.start();
        this.#routing.lead(true);
        void this.#own.ship(true);
        void this.#state.keep(this.#config);
      },
      onStop: () => {
        this.#sequencer?.stop();
        this.#retention?.stop();
        this.#routing.lead(false);
        void this.#own.ship(false);
        void this.#state.keep(undefined);
        this.#frame.conditions.raise("coordinator-not-leading", {
          leader: this.#leadership?.holder ?? "another",
        });
      },
    });
  }

  /** The same after a restart, another than that of any other coordinator of this hub. */
  #instance(): string {
    const { node, http, dataDir } = this.#config;
    return `${node}@${http ?? dataDir}`;
  }

  #serve(): void {
    addApi(this.#frame.http, {
      node: this.#config.node,
      leader: () => {
        const reign = this.#sequencer?.reign;
        return {
          leads: reign !== undefined,
          holder: this.#leadership?.holder ?? null,
          reign: reign ? formatReign(reign) : null,
        };
      },
      nodes: () => this.#fleet.list(Date.now()),
      discovery: () => this.#discovery.states(),
      replication: () => this.#replication(),
      conditions: this.#frame.conditions,
      events: this.#watch.feed,
    });
    this.#proof.addTo(this.#frame.http);
    showFleetMetrics(this.#frame.metrics, {
      hub: this.#config.node,
      totals: this.#totals,
      nodes: () => this.#nodes(),
      replication: () => this.#replication(),
    });
  }

  #nodes() {
    return this.#fleet.list(Date.now());
  }

  #replication(nodes = this.#nodes()): ReplicationView {
    return replicationView({
      state: this.#sequencer?.state,
      nodes,
      times: this.#times,
      nowMs: Date.now(),
      lag: this.#lag,
      finding: (node, of) => this.#proof.finding(node, of),
      scrub: this.#proof.scrub,
    });
  }

  /** What follows from the numbers, looked at once a second. */
  #judge(): void {
    const nowMs = Date.now();
    const nodes = this.#nodes();
    const seen = nodes.filter(
      ({ role, link, health }) => role === "leaf" && (link.up || health.state === "up"),
    );
    this.#discovery.review(new Set(seen.map(({ name }) => name)), nowMs);
    this.#watch.judge(nodes, this.#frame.server.links, nowMs);
    const replication = this.#replication(nodes);
    this.#routing.measured(replication.copies, nodes);
    if (!this.#sequencer?.reign) return;
    void this.#watch.keep(nodes);
    this.#lag.judge(replication, nodes, this.#frame.conditions, nowMs);
  }

  async #onServer(up: boolean): Promise<void> {
    this.#watch.onServer(up);
    if (!up) {
      this.#own.onServer(false);
      return;
    }
    await this.#leadership?.turn();
    this.#own.onServer(true);
  }
}
