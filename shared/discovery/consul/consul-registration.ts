import { setTimeout as sleep } from "node:timers/promises";
import { hostPortOfUrl, parseHostPort } from "../../config/host-port.ts";
import type { Log } from "../../observe/log.ts";
import { askConsul, type ConsulPlace } from "./consul-api.ts";

export interface ConsulRegistrationInit {
  readonly place: ConsulPlace;
  readonly service: string;
  readonly node: string;
  readonly role: "hub" | "leaf";
  readonly region: string;
  readonly capabilities: readonly string[];
  /** Of the node's own server. */
  readonly natsUrl: string;
  /** Where a hub takes links, `host:port`; null: it takes none. */
  readonly leafListen: string | null;
  readonly log: Log;
  /** Default 10 000. */
  readonly renewMs?: number;
}

/** The check is renewed three times before it fails: one lost question means nothing. */
const RENEW_MS = 10_000;
const CHECK_TTL = "30s";
/** A node that was away for so long is taken out of the catalogue. Not sooner: being cut off is a leaf's daily life. */
const FORGET_AFTER = "72h";
const TIMEOUT_MS = 5000;

/**
 * Enters the node into Consul's catalogue and says every ten seconds that its daemon runs. It stays entered when the
 * daemon ends: a node that is being restarted belongs to the fleet; its check fails after half a minute.
 */
export class ConsulRegistration {
  readonly #init: ConsulRegistrationInit;
  readonly #ended = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(init: ConsulRegistrationInit) {
    this.#init = init;
  }

  start(): this {
    this.#loop = this.#run();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#loop;
  }

  /** Ends, and takes the node out of the catalogue. Where that can't be done, Consul does it in time. */
  async withdraw(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const { service, node, log } = this.#init;
    const about = { service, id: serviceId(node) };
    try {
      const path = `/v1/agent/service/deregister/${serviceId(node)}`;
      await this.#ask(path, AbortSignal.timeout(TIMEOUT_MS));
      log.info(about, "taken out of Consul's catalogue");
    } catch (error) {
      const forgotten = `not taken out of Consul's catalogue; it forgets the node in ${FORGET_AFTER}`;
      log.warn({ ...about, err: error }, forgotten);
    }
  }

  async #ask(path: string, signal: AbortSignal, body?: unknown): Promise<void> {
    await askConsul(
      // An agent knows its own services, whatever datacenter is looked into.
      { ...this.#init.place, consulDatacenter: null },
      { method: "PUT", path, body, timeoutMs: TIMEOUT_MS, signal },
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    const { service, node, log, renewMs = RENEW_MS } = this.#init;
    const ask = (path: string, body?: unknown) => this.#ask(path, signal, body);
    let isEntered = false;
    let isToldOf = false;
    while (!signal.aborted) {
      try {
        if (isEntered) await ask(`/v1/agent/check/pass/service:${serviceId(node)}`);
        else await ask("/v1/agent/service/register?replace-existing-checks=true", registrationOf(this.#init));
        if (!isEntered) log.info({ service, id: serviceId(node) }, "entered into Consul's catalogue");
        isEntered = true;
        isToldOf = false;
      } catch (error) {
        if (signal.aborted) return;
        // A Consul agent that lost its state does not know the check: it is entered again at once.
        const again = isEntered;
        isEntered = false;
        if (again) continue;
        if (!isToldOf) log.warn({ err: error }, "not entered into Consul's catalogue, tries again");
        isToldOf = true;
      }
      await sleep(renewMs, undefined, { signal }).catch(() => {});
    }
  }
}

const serviceId = (node: string) => `cim-${node}`;

/** What Consul is told of a node; read back by `consulNodes`. */
export function registrationOf(init: Omit<ConsulRegistrationInit, "place" | "log" | "renewMs">): object {
  const { service, node, role, region, capabilities, natsUrl, leafListen } = init;
  const { host, port } = hostPortOfUrl(natsUrl);
  const leafPort = leafListen === null ? undefined : parseHostPort(leafListen)?.port;
  // Others can't reach a loopback address: Consul gives its own agent's instead.
  const isLoopback = /^(127\.|::1$|localhost$|0\.0\.0\.0$|::$)/.test(host);
  return {
    ID: serviceId(node),
    Name: service,
    Port: port,
    ...(!isLoopback && { Address: host }),
    Tags: [role, ...capabilities],
    Meta: {
      node,
      role,
      region,
      capabilities: capabilities.join(","),
      ...(leafPort && { leafPort: String(leafPort) }),
    },
    Check: { TTL: CHECK_TTL, Status: "passing", DeregisterCriticalServiceAfter: FORGET_AFTER },
  };
}
