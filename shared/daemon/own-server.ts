import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Config, readContracts } from "../config/index.ts";
import type { Contracts } from "../consistency/contract/contract.ts";
import { contractsHash } from "../consistency/contract/contracts-hash.ts";
import { connectNats } from "../nats/connect.ts";
import { ConnectionWatch } from "../nats/connection-watch.ts";
import { ensureStreams } from "../nats/ensure-stream.ts";
import type { Link, LinkChange } from "../nats/link-table.ts";
import { LinkWatch } from "../nats/link-watch.ts";
import { backoffMs, REMOTE_POLICY } from "../nats/reconnect-policy.ts";
import { MINIMUM_NATS_SERVER } from "../nats/server-binary.ts";
import { diskSpace, serverHealth } from "../nats/server-health.ts";
import { requireServerVersion, tooOldVersion } from "../nats/server-version.ts";
import { wantedStreams } from "../nats/streams.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import { errorText } from "../protocol/error-text.ts";
import { inboxPrefix } from "../protocol/subjects.ts";
import { requireContractChange } from "./contract-memory.ts";

export interface OwnServerInit {
  readonly config: Config;
  /** The program: `cim-agent`, `cim-coordinator`. */
  readonly program: string;
  readonly conditions: Conditions;
  readonly log: Log;
  /** The server came back with its streams in order, or went away. */
  readonly onServer: (up: boolean) => void;
  readonly onLink: (change: LinkChange) => void;
}

/** nats-server can't even delete on a disk that is quite full. */
const DISK_FULL_BYTES = 8 * 1024 * 1024;
/** A full disk is to be named within seconds. */
const HEALTH_EVERY_MS = 2000;

/** A node's own nats-server as its daemon uses it: connected, its streams as wanted, watched. */
export class OwnServer {
  readonly #init: OwnServerInit;
  #config: Config;
  #contracts: Contracts;
  #contractsHash: string;
  #nc: NatsConnection | undefined;
  #sys: NatsConnection | undefined;
  #links: LinkWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Which of the connection's comings and goings is the last one. */
  #connectionRun = 0;

  constructor(init: OwnServerInit) {
    this.#init = init;
    this.#config = init.config;
    this.#contracts = readContracts(init.config);
    this.#contractsHash = contractsHash(this.#contracts);
  }

  /** The daemon's connection in the account CIM. */
  get nc(): NatsConnection {
    if (!this.#nc) throw new Error("not connected yet");
    return this.#nc;
  }

  /** The daemon's view of its server, once that is watched. */
  get sys(): NatsConnection | undefined {
    return this.#sys;
  }

  /** How every domain replicates on this node, by the configuration that was taken over last. */
  get contracts(): Contracts {
    return this.#contracts;
  }

  get contractsHash(): string {
    return this.#contractsHash;
  }

  get links(): readonly Link[] {
    return this.#links?.links ?? [];
  }

  /**
   * Connects and brings the streams into order.
   * @throws NatsUnreachable, ServerTooOld, StreamUnusable, SeedFileError, ContractChangeRefused
   */
  async connect(): Promise<NatsConnection> {
    const nc = await this.#connect("agent", this.#config.nats.agentSeedFile);
    this.#nc = nc;
    requireServerVersion(nc);
    await requireContractChange(nc, this.#config, this.#contracts);
    await this.#ensureStreams();
    return nc;
  }

  /** Watches server, disk and links from now on; links that are up have been told of when it returns. */
  async watch(): Promise<void> {
    new ConnectionWatch(this.nc).onChange((connected) => void this.#onConnection(connected));
    this.#sys = await this.#connect("sys", this.#config.nats.sysSeedFile);
    const { log, onLink } = this.#init;
    this.#links = await new LinkWatch({ nc: this.#sys, log, onChange: onLink }).start();
    this.#timer = setInterval(() => void this.#lookAtHealth(), HEALTH_EVERY_MS);
    this.#timer.unref();
  }

  /**
   * Takes over what of a new configuration concerns the streams and the contracts. Contracts that can't be changed like
   * that leave everything as it is.
   * @throws StreamUnusable, ConfigError, ContractChangeRefused
   */
  async reconfigure(config: Config): Promise<void> {
    const contracts = readContracts(config);
    await requireContractChange(this.nc, config, contracts);
    this.#config = config;
    this.#contracts = contracts;
    this.#contractsHash = contractsHash(contracts);
    await this.#ensureStreams();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#links?.[Symbol.asyncDispose]();
    await this.#sys?.close();
    await this.#nc?.close();
  }

  async #ensureStreams(): Promise<void> {
    await ensureStreams(this.nc, wantedStreams(this.#config, this.#contracts));
  }

  #connect(user: "agent" | "sys", seedFile: string): Promise<NatsConnection> {
    const { node, nats } = this.#config;
    return connectNats({
      url: nats.url,
      seedFile,
      name: `${this.#init.program} ${node} ${user}`,
      ...(user === "agent" && { inboxPrefix: inboxPrefix(node) }),
      log: this.#init.log,
    });
  }

  async #onConnection(connected: boolean): Promise<void> {
    const { conditions, log, onServer } = this.#init;
    const run = ++this.#connectionRun;
    if (!connected) {
      conditions.raise("server-down");
      onServer(false);
      return;
    }
    const version = tooOldVersion(this.nc);
    if (version !== undefined) {
      // Put in the place of another while we ran: it goes on when the right one is back.
      conditions.clear("server-down");
      conditions.raise("server-too-old", { version, needed: `${MINIMUM_NATS_SERVER} or newer` });
      return;
    }
    conditions.clear("server-too-old");
    for (let attempt = 0; ; attempt++) {
      try {
        // The store may be another one than before.
        await this.#ensureStreams();
        break;
      } catch (error) {
        if (run !== this.#connectionRun || this.nc.isClosed()) return;
        log.error({ err: error }, "the streams can't be used, tries again");
        conditions.raise("store-error", errorText(error));
        await sleep(backoffMs(attempt, REMOTE_POLICY));
      }
    }
    if (run !== this.#connectionRun) return;
    conditions.clear("server-down");
    conditions.clear("store-error");
    onServer(true);
  }

  async #lookAtHealth(): Promise<void> {
    const { conditions } = this.#init;
    const path = this.#config.nats.storeDir;
    if (!this.#sys || conditions.has("server-down")) return;
    const health = await serverHealth(this.#sys);
    // Hardened away from the daemon, the disk is known only by what the server says.
    const free = await diskSpace(path).catch(() => undefined);
    const full = health.kind === "disk-full" || (free !== undefined && free.freeBytes < DISK_FULL_BYTES);
    conditions.set(full, "disk-full", { path });
    if (health.kind === "unhealthy") conditions.raise("store-error", { error: health.detail });
    if (health.kind === "healthy") conditions.clear("store-error");
  }
}
