import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../shared/config/index.ts";
import type { Daemon } from "../shared/daemon/daemon-command.ts";
import { DaemonFrame } from "../shared/daemon/daemon-frame.ts";
import { LINK_PATIENCE } from "../shared/nats/link-patience.ts";
import type { LinkChange } from "../shared/nats/link-table.ts";
import { inboxPrefix } from "../shared/protocol/subjects.ts";
import { EndedPrograms } from "./commands/ended-programs.ts";
import { HandlerWatch } from "./commands/handler-watch.ts";
import { CommitRefuser } from "./commits/commit-refuser.ts";
import { readCopyState } from "./downlink/copy-state.ts";
import { Downlink } from "./downlink/downlink.ts";
import { HubFinder } from "./hubs/hub-finder.ts";
import { OwnNode } from "./own-node.ts";
import { CopyProof } from "./proof/copy-proof.ts";
import { NodeState } from "./state/node-state.ts";
import { RefusedEvents } from "./uplink/refused-events.ts";

/** A leaf's daemon: declares the local streams, ships the outbox up, keeps the copy, says how the node is. */
export class Agent implements Daemon {
  #config: Config;
  readonly #frame: DaemonFrame;
  #own: OwnNode | undefined;
  #downlink: Downlink | undefined;
  #copyProof: CopyProof | undefined;
  readonly #hubs: HubFinder;
  readonly #handlers: HandlerWatch;
  readonly #state: NodeState;
  #programs: EndedPrograms | undefined;
  readonly #refuser: CommitRefuser;
  #newestMs = 0;
  #copyIsEmpty = false;
  /** What the log had of this node when shipping last began. */
  #mark = 0;

  constructor(config: Config) {
    this.#config = config;
    this.#refuser = new CommitRefuser(config.node);
    this.#frame = new DaemonFrame({
      config,
      program: "cim-agent",
      metrics: ["agent"],
      onServer: (up) => this.#wayToHub(up),
      onLink: (change) => this.#onLink(change),
    });
    this.#hubs = new HubFinder({
      config,
      conditions: this.#frame.conditions,
      log: this.#frame.log.child({ part: "hubs" }),
      sys: () => this.#frame.server.sys,
    });
    this.#state = new NodeState({
      nc: () => this.#frame.server.nc,
      contracts: () => this.#frame.server.contracts,
      conditions: this.#frame.conditions,
      metrics: this.#frame.metrics,
      log: this.#frame.log.child({ part: "state" }),
    });
    this.#handlers = new HandlerWatch({
      sys: () => this.#frame.server.sys,
      node: config.node,
      onChange: () => this.#own?.beat(),
      log: this.#frame.log.child({ part: "commands" }),
    });
  }

  async start(): Promise<this> {
    const config = this.#config;
    const { node } = config;
    const nc = await this.#frame.open();
    const { position } = config.sync.enabled ? await readCopyState(nc) : { position: undefined };
    this.#copyProof = config.sync.enabled ? this.#proveCopy(nc) : undefined;
    this.#own = new OwnNode({
      nc,
      config,
      conditions: this.#frame.conditions,
      metrics: this.#frame.metrics,
      log: this.#frame.log,
      ...(position && { seen: position.reign }),
      ...(config.sync.enabled && { copy: () => this.#copyReport() }),
      contractsHash: () => this.#frame.server.contractsHash,
      handlers: () => this.#handlers,
      onShipping: (mark) => this.#judgeCopy({ mark }),
      ...(this.#copyProof && { proven: this.#copyProof.proven }),
    });
    this.#own.start();
    if (config.sync.enabled) this.#downlink = this.#newDownlink(nc);
    this.#downlink?.start();
    await this.#state.keep(config);
    await this.#frame.server.watch();
    await this.#hubs.start();
    this.#handlers.start();
    this.#watchPrograms(nc);
    if (this.#frame.server.links.length === 0) {
      this.#frame.conditions.raise("link-down");
      this.#refuser.open(nc);
    }
    this.#frame.metrics.readFrom("cim_link_up", () => [
      [{ node }, this.#frame.server.links.length > 0 ? 1 : 0],
    ]);
    this.#frame.ready();
    return this;
  }

  async reload(config: Config): Promise<void> {
    const before = this.#config;
    const { logLevel, outbox, sync, contracts, discovery } = config;
    const nats = { ...before.nats, hubs: config.nats.hubs };
    const { state, cacheSize, snapshotInterval } = config;
    const states = { state, cacheSize, snapshotInterval };
    const next = { ...before, logLevel, outbox, sync, contracts, discovery, nats, ...states };
    await this.#frame.server.reconfigure(next);
    this.#config = next;
    this.#frame.log.level = config.logLevel;
    this.#own?.reconfigure(this.#config);
    await this.#hubs.configure(this.#config);
    this.#frame.reconfigure(this.#config);
    if (before.sync.enabled !== config.sync.enabled) {
      this.#frame.log.warn("sync.enabled changes with the next start");
    } else if (JSON.stringify(before.sync.domains) !== JSON.stringify(config.sync.domains)) {
      await this.#downlink?.[Symbol.asyncDispose]();
      this.#downlink = this.#newDownlink(this.#frame.server.nc);
      this.#downlink.start();
    }
    await this.#state.keep(this.#config);
    this.#frame.log.info("reloaded: log level, outbox, domains, contracts, states, hubs, discovery");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hubs[Symbol.asyncDispose]();
    this.#programs?.stop();
    this.#handlers.stop();
    this.#refuser.close();
    await this.#state.keep(undefined);
    await this.#downlink?.[Symbol.asyncDispose]();
    await this.#own?.[Symbol.asyncDispose]();
    await this.#copyProof?.[Symbol.asyncDispose]();
    await this.#frame[Symbol.asyncDispose]();
  }

  #watchPrograms(nc: NatsConnection): void {
    const { sys } = this.#frame.server;
    if (sys === undefined) return;
    const log = this.#frame.log.child({ part: "commands" });
    this.#programs = new EndedPrograms({ nc, sys, node: this.#config.node, handlers: this.#handlers, log });
    this.#programs.start();
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
      conditions: this.#frame.conditions,
      log: this.#frame.log.child({ part: "downlink" }),
      refused: new RefusedEvents(nc, node),
      reship: async (isWanted) => await this.#own?.uplink.reshipped(isWanted),
      onFollowed: (followed) => this.#own?.copyFollowed(followed),
      onEmpty: () => this.#judgeCopy({ empty: true }),
      ...(this.#copyProof && { onWritten: this.#copyProof.written }),
      onForeign: (count) => this.#frame.metrics.add("cim_foreign_total", {}, count),
      onCopied: (events, own, newestMs) => {
        this.#copyIsEmpty = false;
        this.#frame.metrics.add("cim_copy_events_total", {}, events);
        if (newestMs > 0) this.#newestMs = newestMs;
        if (own) this.#own?.outbox.cameBack(own);
      },
    });
  }

  #proveCopy(nc: NatsConnection): CopyProof {
    const log = this.#frame.log.child({ part: "proof" });
    const proof = new CopyProof({ nc, config: this.#config, downlink: () => this.#downlink, log });
    proof.start();
    return proof;
  }

  /** A copy that is empty on a node the log knows was there before: deleted, or its store is another one. */
  #judgeCopy({ empty = this.#copyIsEmpty, mark = this.#mark }: { empty?: boolean; mark?: number }): void {
    this.#copyIsEmpty = empty;
    this.#mark = mark;
    if (empty && mark > 0) this.#frame.conditions.raise("copy-lost");
  }

  #copyReport() {
    const { position, domains = [] } = this.#downlink ?? {};
    return { position, domains, newestMs: this.#newestMs };
  }

  #onLink(change: LinkChange): void {
    this.#frame.log.info({ link: change.kind, hub: change.link.name }, `link ${change.kind}`);
    if (change.kind === "down" && this.#frame.server.links.length > 0) return;
    if (change.kind === "down") this.#refuser.open(this.#frame.server.nc);
    else this.#refuser.close();
    this.#frame.conditions.set(change.kind === "down", "link-down");
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
