import { randomBytes } from "node:crypto";
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Config } from "../shared/config/index.ts";
import { StoredMessages } from "../shared/follow/proof/stored-messages.ts";
import { LINK_PATIENCE } from "../shared/nats/link-patience.ts";
import { VERSION } from "../shared/observe/build-info.ts";
import type { Conditions } from "../shared/observe/conditions.ts";
import type { Log } from "../shared/observe/log.ts";
import type { Metrics } from "../shared/observe/metrics.ts";
import { acceptHoleRequest, type Heartbeat, PROTOCOL_VERSION } from "../shared/protocol/messages.ts";
import { STREAM } from "../shared/protocol/names.ts";
import type { LogPosition, Reign } from "../shared/protocol/reign.ts";
import { controlSubject, inboxPrefix, isAnswerable } from "../shared/protocol/subjects.ts";
import { Heartbeats } from "./heartbeat/heartbeats.ts";
import { FigureReader } from "./heartbeat/node-figures.ts";
import { OutboxKeeper } from "./outbox/outbox-keeper.ts";
import { ProofDesk, type ProvenCopy } from "./proof/proof-desk.ts";
import { refusedCount } from "./uplink/refused-events.ts";
import { Uplink } from "./uplink/uplink.ts";

/** What a node tells of its copy. */
export interface CopyReport {
  readonly position: LogPosition | undefined;
  readonly domains: readonly string[];
  /** When its origin stored the newest event here, ms since the epoch; 0: none yet. */
  readonly newestMs: number;
}

export interface OwnNodeInit {
  readonly nc: NatsConnection;
  readonly config: Config;
  readonly conditions: Conditions;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Of the contracts in force on this node. */
  readonly contractsHash: () => string;
  /** The highest reign that the node's copy knows. */
  readonly seen?: Reign;
  /** Absent where the node keeps no copy: a hub has the log itself, a leaf may follow nothing. */
  readonly copy?: () => CopyReport;
  /** Commands that programs here listen for, null: not known; and as `silent` in a heartbeat. Absent where none are routed to. */
  readonly handlers?: () => {
    readonly handlers: readonly string[] | null;
    readonly silent: readonly string[];
  };
  /** Shipping begins behind that sequence: what the log has of this node. */
  readonly onShipping?: (mark: number) => void;
  /** The copy, where the coordinator may compare it with the log. */
  readonly proven?: ProvenCopy;
}

const REFUSED_EVERY_MS = 10_000;

/** A node's own part: its outbox on its way to the log, and word of how the node is. On every node, hubs too. */
export class OwnNode {
  readonly #init: OwnNodeInit;
  readonly #run = randomBytes(6).toString("hex");
  readonly #startedMs = Date.now();
  readonly #figures: FigureReader;
  readonly #heartbeats: Heartbeats;
  readonly #desk: ProofDesk;
  #control: Subscription | undefined;
  #refusedTimer: NodeJS.Timeout | undefined;
  #copyRun = 0;
  readonly uplink: Uplink;
  readonly outbox: OutboxKeeper;

  constructor(init: OwnNodeInit) {
    this.#init = init;
    const { nc, config, conditions, log, metrics } = init;
    const hasCopy = init.copy !== undefined;
    this.outbox = new OutboxKeeper({
      nc,
      node: config.node,
      limits: config.outbox,
      waitsForCopy: this.#waitsForCopy(config),
      waitsForReaders: this.#waitsForReaders(config),
      log: log.child({ part: "outbox" }),
    });
    this.uplink = new Uplink({
      nc,
      node: config.node,
      inboxPrefix: inboxPrefix(config.node),
      hasCopy,
      ...(init.seen && { seen: init.seen }),
      drainMs: LINK_PATIENCE[config.heartbeat.preset].drainMs,
      conditions,
      log: log.child({ part: "uplink" }),
      onConfirmed: (seq) => this.outbox.confirmed(seq),
      ...(init.onShipping && { onShipping: init.onShipping }),
      onBlock: (events, bytes) => {
        metrics.add("cim_uplink_blocks_total", {});
        metrics.add("cim_uplink_block_bytes_total", {}, bytes);
        metrics.add("cim_uplink_events_total", {}, events);
      },
    });
    this.#figures = new FigureReader({
      outbox: this.outbox,
      confirmed: () => this.uplink.confirmed,
      storeDir: config.nats.storeDir,
      conditions,
      metrics,
    });
    this.#desk = new ProofDesk({
      nc,
      node: config.node,
      log: log.child({ part: "proof" }),
      outbox: new StoredMessages({
        nc,
        inboxPrefix: inboxPrefix(config.node),
        stream: STREAM.outbox,
        storeDir: config.nats.storeDir,
      }),
      confirmed: () => this.uplink.confirmed,
      incarnation: () => this.uplink.incarnation,
      ...(init.proven && { copy: init.proven }),
    });
    this.#heartbeats = new Heartbeats({
      nc,
      node: config.node,
      intervalMs: config.heartbeat.intervalMs,
      log: log.child({ part: "heartbeat" }),
      make: (maxAgeMs) => this.#heartbeat(maxAgeMs),
    });
  }

  start(): void {
    const { nc, config } = this.#init;
    this.outbox.start();
    this.uplink.start();
    this.#heartbeats.start();
    this.#desk.start();
    void this.#heartbeats.beat();
    void this.#lookAtRefused();
    this.#refusedTimer = setInterval(() => void this.#lookAtRefused(), REFUSED_EVERY_MS);
    this.#refusedTimer.unref();
    this.#control = nc.subscribe(controlSubject(config.node, "accept-hole"), {
      callback: (error, message) => {
        if (error || !isAnswerable(message.reply)) return;
        const request = acceptHoleRequest.safeParse(readJson(message.data));
        const accepted = request.success && this.uplink.acceptHole(request.data.after, request.data.before);
        message.respond(JSON.stringify({ accepted }));
      },
    });
  }

  /** Takes over what can be changed while it runs. */
  reconfigure(config: Config): void {
    this.outbox.limits = config.outbox;
    this.outbox.waitsForCopy = this.#waitsForCopy(config);
    this.outbox.waitsForReaders = this.#waitsForReaders(config);
  }

  /** Of domains that the copy does not follow nothing comes back: the outbox would never be trimmed. */
  #waitsForCopy({ sync }: Config): boolean {
    return this.#init.copy !== undefined && sync.domains.includes("*");
  }

  /** A hub's readers find what was trimmed in the log, those of a complete copy there. */
  #waitsForReaders(config: Config): boolean {
    return config.role === "leaf" && !this.#waitsForCopy(config);
  }

  /** The copy is followed from what it has, or nothing is known of it: what came back depends on that. */
  copyFollowed(followed: boolean): void {
    this.outbox.cameBack(undefined);
    const run = ++this.#copyRun;
    if (!followed) return;
    this.uplink.newestInCopy().then(
      (mark) => {
        if (run === this.#copyRun && !this.outbox.cameBackUpTo) this.outbox.cameBack(mark);
      },
      (error: unknown) => this.#init.log.debug({ err: error }, "the copy can't be read"),
    );
  }

  /** Says at once that something is other than it was. */
  beat(): void {
    void this.#heartbeats.beat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#refusedTimer);
    this.#control?.unsubscribe();
    this.#desk.stop();
    await this.#heartbeats[Symbol.asyncDispose]();
    await this.uplink[Symbol.asyncDispose]();
    await this.outbox[Symbol.asyncDispose]();
  }

  /** Holds for as long as somebody has not looked at them and purged the stream. */
  async #lookAtRefused(): Promise<void> {
    const { nc, conditions } = this.#init;
    const count = await refusedCount(nc).catch(() => undefined);
    if (count === 0) conditions.clear("refused-events");
    if (count && !conditions.has("refused-events")) conditions.raise("refused-events", { count });
  }

  #handled(): Pick<Heartbeat, "handlers" | "silent"> {
    if (this.#init.handlers === undefined) return {};
    const { handlers, silent } = this.#init.handlers();
    return handlers === null ? { handlers } : { handlers: [...handlers], silent: [...silent] };
  }

  /** @param maxAgeMs how old that may be which has to be asked for */
  async #heartbeat(maxAgeMs: number): Promise<Heartbeat> {
    const { nc, config, conditions, copy } = this.#init;
    const { outbox, oldestUs, freeBytes, runwayS, load } = await this.#figures.read(maxAgeMs);
    const { confirmed } = this.uplink;
    const report = copy?.();
    const reign = this.uplink.seen ?? null;
    if (reign) this.#init.metrics.set("cim_epoch", {}, reign.epoch);
    return {
      version: PROTOCOL_VERSION,
      build: VERSION,
      ...(nc.info && { server: nc.info.version }),
      node: config.node,
      run: this.#run,
      startedMs: this.#startedMs,
      sentMs: Date.now(),
      intervalMs: config.heartbeat.intervalMs,
      region: config.region,
      capabilities: [...config.capabilities],
      coordinates: config.coordinates,
      contracts: this.#init.contractsHash(),
      incarnation: this.uplink.incarnation,
      reign,
      outbox: {
        first: outbox.first,
        // What was shipped since the figures were read is in it, too.
        last: Math.max(outbox.last, confirmed),
        bytes: outbox.bytes,
        maxBytes: outbox.maxBytes,
        confirmed,
        oldestUnshippedS: oldestUs === undefined ? 0 : Math.max(0, Date.now() / 1000 - oldestUs / 1_000_000),
      },
      copy: report
        ? {
            reign: report.position?.reign ?? null,
            index: report.position?.index ?? 0,
            domains: [...report.domains],
            newestMs: report.newestMs,
          }
        : null,
      load,
      ...this.#handled(),
      disk: { freeBytes, runwayS },
      conditions: conditions.list().map(({ code, severity, text }) => ({ code, severity, detail: text })),
    };
  }
}

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined;
  }
}
