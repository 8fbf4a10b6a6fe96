import { asDiscovered, type DiscoveredNode, type Witness } from "../../shared/discovery/discovered-node.ts";
import { type MergedNode, mergeSaid } from "../../shared/discovery/merge-said.ts";
import type { LinkChange } from "../../shared/nats/link-table.ts";
import type { Heartbeat } from "../../shared/protocol/messages.ts";
import { ClockSkew } from "../health/clock-skew.ts";
import { healthWords } from "../health/health-words.ts";
import { NodeDetector, type NodeDetectorInit } from "../health/node-detector.ts";
import type { NodeRecord } from "../registry/node-record.ts";
import { AgentRuns } from "./agent-runs.ts";
import { type FleetNode, type Said, saidInOrder } from "./fleet-node.ts";

/** The moment at which something happened, by both clocks. */
export interface Moment {
  /** ms since the epoch, for people. */
  readonly nowMs: number;
  /** Of the attention clock, for verdicts. */
  readonly atMs: number;
}

/** Everything the coordinator keeps of one node: what was said and heard of it, and the detector that judges it. */
export class KnownNode {
  readonly name: string;
  readonly detector: NodeDetector;
  readonly runs = new AgentRuns();
  readonly skew = new ClockSkew();
  role: "hub" | "leaf" = "leaf";
  linked = false;
  rttMs: number | null = null;
  heartbeat: Heartbeat | undefined;
  /** As it was when the coordinator last ended; what the node says itself replaces it. */
  record: NodeRecord | undefined;
  /** Somebody other than itself said once that it exists. */
  named = false;
  firstSeenMs: number | undefined;
  lastSeenMs: number | undefined;
  stateSinceMs: number;
  #linkSince: Moment | undefined;
  #linkReason: string | undefined;
  readonly #said = new Map<Witness, DiscoveredNode>();
  #inOrder: readonly Said[] = [];
  #merged: MergedNode = mergeSaid(this.#said);

  constructor(name: string, detector: Omit<NodeDetectorInit, "atMs">, moment: Moment) {
    this.name = name;
    this.detector = new NodeDetector({ ...detector, atMs: moment.atMs });
    this.stateSinceMs = moment.nowMs;
  }

  get url(): string | null {
    return this.#merged.url;
  }

  /** Anybody but itself says that it exists. */
  get isNamed(): boolean {
    return this.#said.size > (this.#said.has("heartbeat") ? 1 : 0);
  }

  say(source: Witness, words: DiscoveredNode | undefined): void {
    if (words === undefined && !this.#said.has(source)) return;
    if (words) this.#said.set(source, words);
    else this.#said.delete(source);
    if (source !== "heartbeat" && words) this.named = true;
    this.#inOrder = saidInOrder(this.#said);
    this.#merged = mergeSaid(this.#said);
  }

  onLink({ kind, link, ...change }: LinkChange, moment: Moment): void {
    this.linked = kind === "up";
    this.rttMs = link.rttMs ?? this.rttMs;
    this.#linkSince = moment;
    this.#linkReason = "reason" in change ? change.reason : undefined;
    this.firstSeenMs ??= moment.nowMs;
    this.lastSeenMs = moment.nowMs;
    this.detector.link(this.linked, moment.atMs);
  }

  onHeartbeat(heartbeat: Heartbeat, asked: boolean, { nowMs, atMs }: Moment): void {
    const before = this.heartbeat;
    this.heartbeat = heartbeat;
    this.record = undefined;
    this.firstSeenMs ??= nowMs;
    this.lastSeenMs = nowMs;
    if (heartbeat.goodbye) {
      this.detector.goodbye(atMs);
      return;
    }
    this.skew.note(heartbeat.sentMs, nowMs);
    this.detector.heard(atMs, { intervalMs: heartbeat.intervalMs, asked });
    const { region, capabilities, node: name } = heartbeat;
    const isSame =
      before?.region === region &&
      String(before.capabilities) === String(capabilities) &&
      this.#said.has("heartbeat");
    if (!isSame) this.say("heartbeat", asDiscovered({ name, region, capabilities }));
  }

  /** @param silent who has listed nothing yet since the coordinator's start */
  restore(record: NodeRecord, silent: readonly Witness[]): void {
    this.record = record;
    this.role = record.role;
    this.named = record.sources.some((source) => source !== "heartbeat" && source !== "link");
    this.firstSeenMs = parsed(record.firstSeen);
    this.lastSeenMs = parsed(record.lastSeen);
    const { name, region, capabilities, url } = record;
    const words = asDiscovered({ name, region, capabilities, ...(url !== null && { url }) });
    for (const source of silent) if (record.sources.includes(source)) this.say(source, words);
    if (record.sources.includes("heartbeat"))
      this.say("heartbeat", asDiscovered({ name, region, capabilities }));
  }

  view({ nowMs, atMs }: Moment): FleetNode {
    const { name, role, detector, heartbeat, record, linked } = this;
    const { standing } = detector;
    const silentForMs = detector.heardAtMs === undefined ? null : atMs - detector.heardAtMs;
    const evidence = detector.evidence(atMs);
    const facts = {
      role,
      standing,
      evidence,
      silentForMs,
      linkForMs: this.#linkSince === undefined ? null : nowMs - this.#linkSince.nowMs,
      linkReason: this.#linkReason,
      url: this.url,
    };
    const sources = this.#inOrder.map(({ source }): string => source);
    if (linked && role === "leaf") sources.push("link");
    return {
      name,
      role,
      ...this.#merged,
      health: {
        state: standing.state,
        suspect: standing.suspect,
        part: standing.part,
        since: iso(this.stateSinceMs) as string,
        flapping: standing.heldBackMs > 0,
        // In words only when somebody reads them: the fleet is looked at each second.
        get evidence() {
          return healthWords(facts);
        },
        checks: evidence,
      },
      sources,
      said: this.#inOrder,
      link: { up: linked, since: iso(this.#linkSince?.nowMs), rttMs: this.rttMs },
      version: heartbeat?.build ?? record?.version ?? null,
      serverVersion: heartbeat?.server ?? record?.serverVersion ?? null,
      contracts: heartbeat?.contracts ?? record?.contracts ?? null,
      coordinates: heartbeat ? (heartbeat.coordinates ?? null) : (record?.coordinates ?? null),
      incarnation: heartbeat?.incarnation ?? record?.incarnation ?? null,
      firstSeen: iso(this.firstSeenMs),
      lastSeen: iso(this.lastSeenMs),
      heartbeat: heartbeat ?? null,
      silentForMs,
    };
  }
}

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
const parsed = (text: string | null): number | undefined => (text === null ? undefined : Date.parse(text));
