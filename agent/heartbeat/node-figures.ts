import { loadavg } from "node:os";
import { diskSpace } from "../../shared/nats/server-health.ts";
import type { Conditions } from "../../shared/observe/conditions.ts";
import type { Metrics } from "../../shared/observe/metrics.ts";
import type { OutboxKeeper, OutboxState } from "../outbox/outbox-keeper.ts";
import { GrowthRate, runwaySeconds, runwayWords } from "../outbox/runway.ts";

/** What has to be asked for: of the server, the disk, the machine. */
export interface NodeFigures {
  readonly outbox: OutboxState;
  /** When the oldest event that is not in the log was stored, µs since the epoch; undefined: there is none. */
  readonly oldestUs: number | undefined;
  readonly freeBytes: number;
  /** Seconds until writers get an error; null: the outbox does not fill. */
  readonly runwayS: number | null;
  readonly load: number;
}

export interface FigureReaderInit {
  readonly outbox: OutboxKeeper;
  /** Sequence up to which the log has the outbox. */
  readonly confirmed: () => number;
  readonly storeDir: string;
  readonly conditions: Conditions;
  readonly metrics: Metrics;
}

const NEARLY_FULL = 0.8;
const SHORT_RUNWAY_S = 3600;

/** Reads a node's figures, and says what follows from them: metrics and conditions. */
export class FigureReader {
  readonly #init: FigureReaderInit;
  readonly #growth = new GrowthRate();
  #read: { readonly figures: NodeFigures; readonly atMs: number } | undefined;

  constructor(init: FigureReaderInit) {
    this.#init = init;
  }

  /** As they were no longer than `maxAgeMs` ago. @throws the client's errors when the own server does not answer */
  async read(maxAgeMs: number): Promise<NodeFigures> {
    if (this.#read && performance.now() - this.#read.atMs < maxAgeMs) return this.#read.figures;
    const { outbox: keeper, confirmed } = this.#init;
    const outbox = await keeper.state();
    const oldestUs = outbox.last > confirmed() ? await keeper.storedAtUs(confirmed()) : undefined;
    const freeBytes = await this.#freeBytes();
    const runwayS = this.#judge(outbox, freeBytes);
    const figures = { outbox, oldestUs, freeBytes, runwayS, load: loadavg()[0] ?? 0 };
    this.#read = { figures, atMs: performance.now() };
    return figures;
  }

  #judge(outbox: OutboxState, freeBytes: number): number | null {
    const { conditions, metrics } = this.#init;
    this.#growth.note(outbox.bytes, performance.now());
    const runwayS = runwaySeconds({
      outboxBytes: outbox.bytes,
      outboxMaxBytes: outbox.maxBytes,
      diskFreeBytes: freeBytes,
      growthPerSecond: this.#growth.perSecond,
    });
    const used = outbox.bytes / outbox.maxBytes;
    metrics.set("cim_outbox_bytes", {}, outbox.bytes);
    metrics.set("cim_outbox_events", {}, outbox.events);
    metrics.set("cim_disk_free_bytes", {}, freeBytes);
    metrics.set("cim_outbox_runway_seconds", {}, runwayS ?? Number.NaN);
    const percent = Math.round(used * 100);
    const runway = runwayS === null ? {} : { runway: runwayWords(runwayS) };
    conditions.set(used >= NEARLY_FULL && used < 0.99, "outbox-nearly-full", { percent, ...runway });
    conditions.set(used >= 0.99, "outbox-full");
    conditions.set(runwayS !== null && runwayS < SHORT_RUNWAY_S, "disk-runway-short", runway);
    return runwayS;
  }

  async #freeBytes(): Promise<number> {
    // Hardened away from the daemon, or not there yet: the outbox's own limit is known all the same.
    const space = await diskSpace(this.#init.storeDir).catch(() => undefined);
    return space?.freeBytes ?? Number.MAX_SAFE_INTEGER;
  }
}
