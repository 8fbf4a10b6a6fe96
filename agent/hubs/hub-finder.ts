import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import type { DiscoveredNode, SourceName } from "../../shared/discovery/discovered-node.ts";
import { Discovery } from "../../shared/discovery/discovery.ts";
import { ACCOUNT, LINK_REMOTE_FILE } from "../../shared/nats/server-config.ts";
import { dialledHubs, reloadServer } from "../../shared/nats/server-control.ts";
import { writeHubs } from "../../shared/nats/write-server-config.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Log } from "../../shared/observe/log.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { dialledAs, foundHubs, hubsToDial } from "./hubs-to-dial.ts";

export interface HubFinderInit {
  readonly config: Config;
  readonly conditions: Conditions;
  readonly log: Log;
  /** To the own server, in its system account. */
  readonly sys: () => NatsConnection | undefined;
}

/** Somebody may write the server's configuration anew, or its server may have been away: looked at this often. */
const LOOK_EVERY_MS = 10_000;

/**
 * Looks for the hub where discovery says it is, and has the node's server dial it there: it writes the hubs into a file
 * beside the server's configuration and has it read anew. The link moves within a moment; nothing is restarted, and
 * what is on its way is sent again as after any cut.
 */
export class HubFinder {
  readonly #init: HubFinderInit;
  #config: Config;
  readonly #discovery: Discovery;
  readonly #listed = new Map<SourceName, readonly DiscoveredNode[]>();
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isEnded = false;
  /** Beside the server's configuration stand hubs that count before its own. */
  #isOverridden = false;
  /** What was found, or reloaded, in this run: what the server had from an earlier one is no longer to be waited for. */
  #hasActed = false;

  constructor(init: HubFinderInit) {
    this.#init = init;
    this.#config = init.config;
    const { conditions, log } = init;
    this.#discovery = new Discovery({
      settings: init.config.discovery,
      conditions,
      log,
      onNodes: (source, nodes) => {
        this.#listed.set(source, nodes);
        this.#look();
      },
    });
  }

  async start(): Promise<this> {
    const { nats } = this.#config;
    const file = await readFile(join(nats.configFolder, LINK_REMOTE_FILE), "utf8").catch(() => "");
    this.#isOverridden = /^urls:/m.test(file);
    await this.#discovery.start();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#look();
    return this;
  }

  /** Takes over hubs and discovery of a new configuration. */
  async configure(config: Config): Promise<void> {
    if (JSON.stringify(config.nats.hubs) !== JSON.stringify(this.#config.nats.hubs)) {
      this.#isOverridden = true;
      this.#hasActed = true;
    }
    this.#config = config;
    await this.#discovery.configure(config.discovery);
    this.#look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#discovery[Symbol.asyncDispose]();
    await this.#turn;
  }

  #looksForHubs(): boolean {
    const { methods, staticNodes } = this.#config.discovery;
    return (
      methods.some((one) => one !== "static") || staticNodes.some(({ leafUrl }) => leafUrl !== undefined)
    );
  }

  #look(): void {
    this.#turn = this.#turn.then(() => this.#move());
  }

  /** Never throws: what fails is told, and tried again. */
  async #move(): Promise<void> {
    const { conditions, log, sys } = this.#init;
    const { nats } = this.#config;
    const nc = sys();
    if (this.#isEnded || !nc || nc.isClosed()) return;
    const found = foundHubs(this.#listed, nats.hubDomain);
    const hubs = hubsToDial(found, nats.hubs);
    if (hubs.join() === nats.hubs.join() && !this.#isOverridden) return;
    // What an earlier run found counts until something is found by this one.
    if (found.length === 0 && this.#looksForHubs() && !this.#hasActed) return;
    this.#hasActed = true;
    const wanted = hubs.map(dialledAs).join();
    const isDialled = async () => (await dialledHubs(nc, ACCOUNT.cim)).join() === wanted;
    try {
      if (!(await isDialled())) {
        this.#isOverridden = true;
        await writeHubs(nats.linkSeedFile, hubs, nats.configFolder);
        await reloadServer(nc);
        if (!(await isDialled()))
          throw new Error(`it has not read ${join(nats.configFolder, LINK_REMOTE_FILE)}`);
        log.info({ hubs }, "the server dials other hubs");
      }
      conditions.clear("hubs-not-moved");
    } catch (error) {
      const reason = errorText(error);
      conditions.raise("hubs-not-moved", { hubs: wanted, reason });
    }
  }
}
