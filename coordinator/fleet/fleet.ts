import type { Config } from "../../shared/config/index.ts";
import {
  asDiscovered,
  type DiscoveredNode,
  type SourceName,
  type Witness,
} from "../../shared/discovery/discovered-node.ts";
import { sourcesOf } from "../../shared/discovery/open-source.ts";
import type { LinkChange } from "../../shared/nats/link-table.ts";
import type { Heartbeat } from "../../shared/protocol/messages.ts";
import { AttentionClock } from "../health/attention-clock.ts";
import type { ProbeResult } from "../health/node-detector.ts";
import type { NodeRecord } from "../registry/node-record.ts";
import type { FleetNode } from "./fleet-node.ts";
import { KnownNode, type Moment } from "./known-node.ts";

export type { FleetNode, Said } from "./fleet-node.ts";

/** Something that changed in the fleet. */
export interface FleetChange {
  /** `health`: another state, a doubt, or the end of one. `forgotten`: `node` is what it was last. */
  readonly kind: "appeared" | "health" | "forgotten";
  readonly node: FleetNode;
}

/** What is to be asked now: `atMs` is to be handed back with the answers. */
export interface DueQuestions {
  readonly asks: readonly { readonly name: string; readonly role: "hub" | "leaf"; readonly atMs: number }[];
  readonly probes: readonly { readonly name: string; readonly url: string; readonly atMs: number }[];
  /** For how long nothing more is to be asked or judged of anybody that is well, ms; 0: somebody is not. */
  readonly restMs: number;
}

/** A node that nobody lists, and that was never listed, is kept so long after it was last heard. */
const KEPT_UNNAMED_MS = 24 * 60 * 60_000;

/** Which nodes there are and how they are: from configuration, discovery, links, heartbeats and answers. Times are passed in, ms. */
export class Fleet {
  readonly #nodes = new Map<string, KnownNode>();
  readonly #clock = new AttentionClock();
  readonly #listeners = new Set<(change: FleetChange) => void>();
  readonly #present = new Set<string>();
  #detector: ConstructorParameters<typeof KnownNode>[1];
  /** What lists nodes, by configuration, and what of it has done so. */
  #sources: readonly Witness[] = [];
  readonly #listed = new Set<Witness>();
  /** Of those who may link, by name. */
  #keys = new Map<string, string>();
  /** Links up that bear the name of a node with another key. */
  readonly #impostors = new Map<number, string>();
  #sorted: KnownNode[] | undefined;
  #nowMs: number;

  constructor(config: Config, nowMs: number) {
    this.#nowMs = nowMs;
    this.#detector = detectorOf(config);
    this.configure(config);
  }

  /** Takes the configured nodes over; those no longer configured stay while they are linked or speak. */
  configure(config: Config): void {
    const { node: name, region, capabilities, leaves, nats } = config;
    this.#detector = detectorOf(config);
    for (const { detector } of this.#nodes.values()) detector.configure(this.#detector.slow);
    this.#sources = sourcesOf(config.discovery);
    this.#keys = new Map(leaves.map((leaf) => [leaf.name, leaf.publicKey]));
    this.#known(name).role = "hub";
    const hub = { name, region, capabilities, url: nats.url };
    this.#say("configuration", [hub, ...leaves].map(asDiscovered));
  }

  /** Takes over what a source of discovery lists now: all of it, each time. */
  onDiscovery(source: SourceName, nodes: readonly DiscoveredNode[]): void {
    this.#listed.add(source);
    this.#say(source, nodes);
  }

  /**
   * What was known when a coordinator last wrote it down. Nobody of these is up before it shows itself, and nobody is
   * there who is configured or listed no longer; a source that has not listed anything yet is taken to list what it did.
   */
  restore(records: readonly NodeRecord[]): void {
    const silent = this.#sources.filter((source) => !this.#listed.has(source));
    for (const record of records) this.#known(record.name).restore(record, silent);
    for (const { name } of records) this.#touch(this.#known(name), this.#moment(this.#nowMs));
    this.sweep(this.#nowMs);
  }

  /** The hub's own server is there, or not. */
  onOwnServer(hub: string, up: boolean, nowMs: number): void {
    const node = this.#known(hub);
    if (node.linked === up) return;
    const moment = this.#moment(nowMs);
    node.linked = up;
    node.detector.link(up, moment.atMs);
    this.#touch(node, moment);
  }

  onLink(change: LinkChange, nowMs: number): void {
    const { name, cid, publicKey } = change.link;
    const key = this.#keys.get(name);
    if (change.kind === "up" && key !== undefined && publicKey !== null && publicKey !== key) {
      this.#impostors.set(cid, name);
      return;
    }
    if (this.#impostors.delete(cid)) return;
    const moment = this.#moment(nowMs);
    const node = this.#known(name);
    node.onLink(change, moment);
    this.#touch(node, moment);
  }

  /** Round trips as last listed. */
  onRoundTrip(name: string, rttMs: number | null): void {
    const node = this.#nodes.get(name);
    if (!node) return;
    node.rttMs = rttMs;
    node.detector.roundTrip(rttMs);
  }

  /** @param asked it is the answer to a question, not one of those that come at a pace */
  onHeartbeat(heartbeat: Heartbeat, nowMs: number, asked = false): void {
    const moment = this.#moment(nowMs);
    const node = this.#known(heartbeat.node);
    const { state, suspect } = node.detector.standing;
    // A hub's coordinators take turns: one that was paused speaks until it sees that another leads.
    const currentSpeaks = node.role === "leaf" && state === "up" && !suspect;
    if (heartbeat.goodbye && !node.runs.isCurrent(heartbeat.run)) return;
    if (!node.runs.take(heartbeat, moment.atMs, currentSpeaks)) return;
    node.onHeartbeat(heartbeat, asked, moment);
    this.#touch(node, moment);
  }

  /** The API of a node's server answered what was asked at `askedAtMs`. */
  onServerAnswer(name: string, askedAtMs: number, nowMs: number): void {
    const node = this.#nodes.get(name);
    if (!node) return;
    const moment = this.#moment(nowMs);
    node.detector.serverAnswered(askedAtMs, moment.atMs);
    this.#touch(node, moment);
  }

  /** What the probe that was due at `beganAtMs` found. */
  onProbe(name: string, result: ProbeResult, beganAtMs: number, nowMs: number): void {
    const node = this.#nodes.get(name);
    if (!node) return;
    node.detector.probed(result, beganAtMs);
    this.#touch(node, this.#moment(nowMs));
  }

  /** Draws the consequences of time, and says what is to be asked now: at most so many of each. */
  turn(nowMs: number, most: { readonly asks: number; readonly probes: number }): DueQuestions {
    const moment = this.#moment(nowMs);
    const asks: DueQuestions["asks"][number][] = [];
    const probes: DueQuestions["probes"][number][] = [];
    let restMs = Number.POSITIVE_INFINITY;
    for (const node of this.#nodes.values()) {
      const nodeRestMs = node.detector.restMs(moment.atMs);
      if (nodeRestMs > 0) {
        restMs = Math.min(restMs, nodeRestMs);
        continue;
      }
      this.#touch(node, moment);
      const { name, role, url, detector } = node;
      const due = detector.questions(moment.atMs, url !== null);
      if (due.ask && asks.length < most.asks) {
        detector.asked(moment.atMs);
        asks.push({ name, role, atMs: moment.atMs });
      }
      if (due.probe && url !== null && probes.length < most.probes) {
        detector.probing(moment.atMs);
        probes.push({ name, url, atMs: moment.atMs });
      }
      restMs = Math.min(restMs, Math.max(0, detector.restMs(moment.atMs)));
    }
    return { asks, probes, restMs };
  }

  /** Two nodes seem to go by one name: two agents speak, or a link bears it with another key than the configured one. */
  isDuplicate(name: string, nowMs: number): boolean {
    const node = this.#nodes.get(name);
    const { atMs } = this.#moment(nowMs);
    if (node?.role === "leaf" && node.runs.areTwo(atMs)) return true;
    return [...this.#impostors.values()].includes(name);
  }

  /** Seconds by which a node's clock is behind the hub's (negative: ahead); undefined while it is near. */
  clockSkew(name: string): number | undefined {
    const node = this.#nodes.get(name);
    return node?.skew.toldSeconds(node.rttMs);
  }

  list(nowMs: number): FleetNode[] {
    const moment = this.#moment(nowMs);
    this.#sorted ??= [...this.#nodes.values()].sort(byRoleAndName);
    for (const node of this.#sorted) this.#touch(node, moment);
    return this.#sorted.filter((node) => this.#isPresent(node, nowMs)).map((node) => node.view(moment));
  }

  get(name: string, nowMs: number): FleetNode | undefined {
    const node = this.#nodes.get(name);
    if (!node || !this.#isPresent(node, nowMs)) return undefined;
    const moment = this.#moment(nowMs);
    this.#touch(node, moment);
    return node.view(moment);
  }

  /** Tells of every change as it happens. Gives a function that ends it. */
  subscribe(listener: (change: FleetChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Drops those that are no longer there. To be called now and then. */
  sweep(nowMs: number): void {
    for (const node of this.#nodes.values()) if (!this.#isPresent(node, nowMs)) this.#drop(node, nowMs);
  }

  /** A node was retired: without a link, or somebody who lists it, it is dropped at once. */
  forget(name: string, nowMs: number): void {
    const node = this.#nodes.get(name);
    if (node && !node.linked && !node.isNamed) this.#drop(node, nowMs);
  }

  #drop(node: KnownNode, nowMs: number): void {
    this.#nodes.delete(node.name);
    this.#sorted = undefined;
    if (this.#present.delete(node.name)) this.#tell("forgotten", node, this.#moment(nowMs));
  }

  #say(source: Witness, nodes: readonly DiscoveredNode[]): void {
    const listed = new Set(nodes.map(({ name }) => name));
    for (const node of this.#nodes.values()) if (!listed.has(node.name)) node.say(source, undefined);
    for (const words of nodes) this.#known(words.name).say(source, words);
    const moment = this.#moment(this.#nowMs);
    for (const { name } of nodes) this.#touch(this.#known(name), moment);
    this.sweep(moment.nowMs);
  }

  #isPresent(node: KnownNode, nowMs: number): boolean {
    if (node.linked || node.isNamed) return true;
    if (node.named) return node.detector.standing.state === "up";
    return node.lastSeenMs !== undefined && nowMs - node.lastSeenMs < KEPT_UNNAMED_MS;
  }

  #touch(node: KnownNode, moment: Moment): void {
    const { state } = node.detector.standing;
    const changed = node.detector.look(moment.atMs);
    if (node.detector.standing.state !== state) node.stateSinceMs = moment.nowMs;
    if (!this.#present.has(node.name)) {
      if (!this.#isPresent(node, moment.nowMs)) return;
      this.#present.add(node.name);
      this.#tell("appeared", node, moment);
    } else if (changed) this.#tell("health", node, moment);
  }

  #tell(kind: FleetChange["kind"], node: KnownNode, moment: Moment): void {
    if (this.#listeners.size === 0) return;
    const change = { kind, node: node.view(moment) };
    for (const listener of this.#listeners) listener(change);
  }

  #known(name: string): KnownNode {
    let node = this.#nodes.get(name);
    if (!node) {
      node = new KnownNode(name, this.#detector, this.#moment(this.#nowMs));
      this.#nodes.set(name, node);
      this.#sorted = undefined;
    }
    return node;
  }

  #moment(nowMs: number): Moment {
    this.#nowMs = nowMs;
    return { nowMs, atMs: this.#clock.at(nowMs) };
  }
}

const byRoleAndName = (a: KnownNode, b: KnownNode): number =>
  Number(b.role === "hub") - Number(a.role === "hub") || (a.name < b.name ? -1 : 1);

function detectorOf({ health, heartbeat }: Config): ConstructorParameters<typeof KnownNode>[1] {
  const { intervalS, timeoutS, retries } = health;
  return {
    slow: { intervalMs: intervalS * 1000, timeoutMs: timeoutS * 1000, retries },
    intervalMs: heartbeat.intervalMs,
  };
}
