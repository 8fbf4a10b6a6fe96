import type { Config } from "../../shared/config/index.ts";
import {
  asDiscovered,
  type DiscoveredNode,
  type SourceName,
  type Witness,
} from "../../shared/discovery/discovered-node.ts";
import { mergeSaid, PRECEDENCE } from "../../shared/discovery/merge-said.ts";
import type { LinkChange } from "../../shared/nats/link-table.ts";
import type { Heartbeat } from "../../shared/protocol/messages.ts";
import { type Health, type HealthState, judgeHealth } from "./node-health.ts";

/** A node as the coordinator knows it. */
export interface FleetNode {
  readonly name: string;
  readonly role: "hub" | "leaf";
  readonly region: string;
  readonly capabilities: readonly string[];
  readonly health: Health & { readonly since: string };
  /** Where it can be probed; null: nobody says. */
  readonly url: string | null;
  /** Who says that it exists. */
  readonly sources: readonly string[];
  /** What each of them says of it, in the order of precedence. */
  readonly said: readonly Said[];
  readonly link: { readonly up: boolean; readonly since: string | null; readonly rttMs: number | null };
  readonly firstSeen: string | null;
  readonly lastSeen: string | null;
  readonly heartbeat: Heartbeat | null;
  /** Since that heartbeat came, ms by the coordinator's own clock. */
  readonly silentForMs: number | null;
}

/** What one source says of a node. */
export interface Said {
  readonly source: Witness;
  readonly url: string | null;
  readonly region: string | null;
  readonly capabilities: readonly string[];
}

interface Known {
  readonly name: string;
  role: "hub" | "leaf";
  readonly said: Map<Witness, DiscoveredNode>;
  linked: boolean;
  linkSinceMs: number | undefined;
  rttMs: number | null;
  heartbeat: Heartbeat | undefined;
  heardAtMs: number | undefined;
  firstSeenMs: number | undefined;
  lastSeenMs: number | undefined;
  state: HealthState | undefined;
  stateSinceMs: number;
  /** Another run's heartbeat came while this one still spoke. */
  secondRunAtMs: number | undefined;
}

/** Two runs of one name within so many heartbeats are two agents, not a restart. */
const DUPLICATE_WINDOW_INTERVALS = 8;

/** Which nodes there are and how they are: from configuration, discovery, links and heartbeats. Times are passed in, ms. */
export class Fleet {
  readonly #nodes = new Map<string, Known>();
  readonly #startedMs: number;

  constructor(config: Config, nowMs: number) {
    this.#startedMs = nowMs;
    this.configure(config);
  }

  /** Takes the configured nodes over; those no longer configured stay while they are linked or speak. */
  configure(config: Config): void {
    const { node: name, region, capabilities, leaves } = config;
    const hub = this.#known(name);
    hub.role = "hub";
    hub.linked = true;
    this.#say("configuration", [{ name, region, capabilities }, ...leaves].map(asDiscovered));
  }

  /** Takes over what a source of discovery lists now: all of it, each time. */
  onDiscovery(source: SourceName, nodes: readonly DiscoveredNode[]): void {
    this.#say(source, nodes);
  }

  onLink(change: LinkChange, nowMs: number): void {
    const node = this.#known(change.link.name);
    node.linked = change.kind === "up";
    node.linkSinceMs = nowMs;
    node.rttMs = change.link.rttMs;
    node.firstSeenMs ??= nowMs;
  }

  /** Round trips as last listed. */
  onRoundTrip(name: string, rttMs: number | null): void {
    this.#known(name).rttMs = rttMs;
  }

  onHeartbeat(heartbeat: Heartbeat, nowMs: number): void {
    const node = this.#known(heartbeat.node);
    const before = node.heartbeat;
    if (before && before.run !== heartbeat.run && heartbeat.startedMs < before.startedMs) {
      // The older of two is still alive: the newer one did not replace it.
      node.secondRunAtMs = nowMs;
    } else {
      node.heartbeat = heartbeat;
    }
    node.heardAtMs = nowMs;
    node.firstSeenMs ??= nowMs;
    node.lastSeenMs = nowMs;
    node.said.set("heartbeat", asDiscovered({ ...heartbeat, name: heartbeat.node }));
  }

  /** Two agents seem to run under one name. */
  isDuplicate(name: string, nowMs: number): boolean {
    const { role, secondRunAtMs, heartbeat } = this.#known(name);
    // A hub's coordinators take turns: one that was paused speaks until it sees that another leads.
    if (role === "hub") return false;
    const windowMs = (heartbeat?.intervalMs ?? 0) * DUPLICATE_WINDOW_INTERVALS;
    return secondRunAtMs !== undefined && nowMs - secondRunAtMs < windowMs;
  }

  list(nowMs: number): FleetNode[] {
    return [...this.#nodes.values()]
      .filter((node) => node.said.size > 0 || node.linked)
      .map((node) => this.#view(node, nowMs))
      .sort((a, b) => Number(b.role === "hub") - Number(a.role === "hub") || a.name.localeCompare(b.name));
  }

  get(name: string, nowMs: number): FleetNode | undefined {
    return this.list(nowMs).find((node) => node.name === name);
  }

  #say(source: Witness, nodes: readonly DiscoveredNode[]): void {
    const listed = new Set(nodes.map(({ name }) => name));
    for (const node of this.#nodes.values()) {
      if (listed.has(node.name) || !node.said.delete(source)) continue;
      if (node.said.size === 0 && !node.linked) this.#nodes.delete(node.name);
    }
    for (const node of nodes) this.#known(node.name).said.set(source, node);
  }

  #known(name: string): Known {
    let node = this.#nodes.get(name);
    if (!node) {
      node = {
        name,
        role: "leaf",
        said: new Map(),
        linked: false,
        linkSinceMs: undefined,
        rttMs: null,
        heartbeat: undefined,
        heardAtMs: undefined,
        firstSeenMs: undefined,
        lastSeenMs: undefined,
        state: undefined,
        stateSinceMs: this.#startedMs,
        secondRunAtMs: undefined,
      };
      this.#nodes.set(name, node);
    }
    return node;
  }

  #view(node: Known, nowMs: number): FleetNode {
    const intervalMs = node.heartbeat?.intervalMs ?? 1000;
    // Just started: a silence that began before is not yet known to be one.
    const silentForMs = node.heardAtMs === undefined ? undefined : nowMs - node.heardAtMs;
    const young = node.heardAtMs === undefined && nowMs - this.#startedMs < intervalMs * 4;
    const judged = judgeHealth({ linked: node.linked && !young, silentForMs, intervalMs });
    if (judged.state !== node.state) {
      node.state = judged.state;
      node.stateSinceMs = nowMs;
    }
    const said = PRECEDENCE.flatMap((source) => {
      const words = node.said.get(source);
      if (!words) return [];
      const { url = null, region = null, capabilities = [] } = words;
      return { source, url, region, capabilities };
    });
    const linked = node.linked && node.role === "leaf";
    return {
      name: node.name,
      role: node.role,
      ...mergeSaid(node.said),
      health: { ...judged, since: iso(node.stateSinceMs) as string },
      sources: [...said.map(({ source }) => source), ...(linked ? ["link"] : [])],
      said,
      link: { up: node.linked, since: iso(node.linkSinceMs), rttMs: node.rttMs },
      firstSeen: iso(node.firstSeenMs),
      lastSeen: iso(node.lastSeenMs),
      heartbeat: node.heartbeat ?? null,
      silentForMs: silentForMs ?? null,
    };
  }
}

function iso(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
