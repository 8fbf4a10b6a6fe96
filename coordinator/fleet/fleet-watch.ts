import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import { ContestedNames } from "../../shared/nats/contested-names.ts";
import type { Link, LinkChange } from "../../shared/nats/link-table.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { EventFeed } from "../../shared/observe/event-feed.ts";
import type { Log } from "../../shared/observe/log.ts";
import { type Heartbeat, heartbeat } from "../../shared/protocol/messages.ts";
import { inboxPrefix, SUBJECT } from "../../shared/protocol/subjects.ts";
import { HealthQuestions } from "../health/health-questions.ts";
import { recordOf } from "../registry/node-record.ts";
import { NodeRegistry } from "../registry/node-registry.ts";
import type { Fleet, FleetNode } from "./fleet.ts";
import { FleetEvents } from "./fleet-events.ts";

export interface FleetWatchInit {
  readonly fleet: Fleet;
  readonly config: Config;
  readonly conditions: Conditions;
  readonly log: Log;
  /** Of the hub's own contracts, by now. */
  readonly contractsHash: () => string;
  /** After the fleet took a heartbeat over. */
  readonly onHeard?: (heartbeat: Heartbeat) => void;
}

/** Brings to the fleet what comes over connections: heartbeats, links, answers; and says what is wrong with its nodes. */
export class FleetWatch implements AsyncDisposable {
  readonly #init: FleetWatchInit;
  readonly #contested = new ContestedNames();
  readonly #questions: HealthQuestions;
  readonly #events: FleetEvents;
  #registry: NodeRegistry | undefined;

  constructor(init: FleetWatchInit) {
    this.#init = init;
    this.#events = new FleetEvents(init.fleet, init.config.node);
    this.#questions = new HealthQuestions({
      fleet: init.fleet,
      probeTimeoutMs: probeTimeoutMs(init.config),
      onStatus: (node, data) => this.#onHeartbeat(node, data, true),
    });
  }

  /** Takes over what can be changed while it runs. */
  configure(config: Config): void {
    this.#questions.probeTimeoutMs = probeTimeoutMs(config);
  }

  /** What happens in the fleet, as it happens. */
  get feed(): EventFeed {
    return this.#events.feed;
  }

  /**
   * @param nc the daemon's connection, which is up
   * @throws what reading the registry throws
   */
  async start(nc: NatsConnection): Promise<void> {
    const { fleet, config, log } = this.#init;
    this.#registry = new NodeRegistry({
      nc,
      inboxPrefix: inboxPrefix(config.node),
      log: log.child({ part: "registry" }),
    });
    fleet.restore(await this.#registry.load());
    this.onServer(true);
    nc.subscribe(SUBJECT.heartbeats, {
      callback: (error, { subject, data }) => {
        if (!error) this.#onHeartbeat(subject.split(".")[2] ?? "", data, false);
      },
    });
    this.#questions.start(nc);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#questions[Symbol.asyncDispose]();
  }

  onLink(change: LinkChange): void {
    this.#init.fleet.onLink(change, Date.now());
    this.#contested.observe(change);
  }

  /** The hub's own server is there, or not. */
  onServer(up: boolean): void {
    this.#init.fleet.onOwnServer(this.#init.config.node, up, Date.now());
  }

  /** What follows from the numbers, looked at now and then. */
  judge(nodes: readonly FleetNode[], links: readonly Link[], nowMs: number): void {
    const { fleet, conditions } = this.#init;
    for (const { name, rttMs } of links) fleet.onRoundTrip(name, rttMs);
    const contested = this.#contested.names(nowMs);
    const own = this.#init.contractsHash();
    for (const { name, contracts, health } of nodes) {
      // Of a node that is away nothing is known but what it had.
      const differs = health.state === "up" && contracts !== null && contracts !== own;
      conditions.set(differs, "contracts-differ", { node: name, theirs: contracts ?? "", own }, name);
      const twice = contested.includes(name) || fleet.isDuplicate(name, nowMs);
      conditions.set(twice, "duplicate-name", { node: name }, name);
      const seconds = fleet.clockSkew(name);
      conditions.set(seconds !== undefined, "clock-skewed", { seconds: seconds ?? 0 }, name);
    }
    fleet.sweep(nowMs);
    this.#events.judge(conditions, nodes);
  }

  /** Writes down who there is. For the leading coordinator alone. */
  async keep(nodes: readonly FleetNode[]): Promise<void> {
    const toKeep = nodes.map((node) => ({ record: recordOf(node), isUp: node.health.state === "up" }));
    await this.#registry?.keep(toKeep);
  }

  /** A leaf may publish under its own name only; what the body claims must agree with that. */
  #onHeartbeat(node: string, data: Uint8Array, asked: boolean): void {
    let body: unknown;
    try {
      body = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
    } catch {
      return;
    }
    const parsed = heartbeat.safeParse(body);
    if (!parsed.success || parsed.data.node !== node) return;
    this.#init.fleet.onHeartbeat(parsed.data, Date.now(), asked);
    this.#init.onHeard?.(parsed.data);
  }
}

const probeTimeoutMs = ({ health }: Config): number => health.timeoutS * 1000;
