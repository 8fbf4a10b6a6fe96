import type { Config } from "../config/index.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import { errorText } from "../protocol/error-text.ts";
import { type DiscoveredNode, SOURCES, type SourceName } from "./discovered-node.ts";
import { type Held, heldNodes, NOTHING_HELD, reviewWithheld, takeListing } from "./mass-disappearance.ts";
import { openSource, sourceOptions, sourcesOf } from "./open-source.ts";
import type { Report, Source } from "./source.ts";

type Settings = Config["discovery"];

export interface DiscoveryInit {
  readonly settings: Settings;
  readonly conditions: Conditions;
  readonly log: Log;
  /** What counts as listed by a source now: all of it, each time it changed. */
  readonly onNodes: (source: SourceName, nodes: readonly DiscoveredNode[]) => void;
}

/** How it is with one source, as `/api/v1/discovery` tells it. */
export interface SourceState {
  readonly source: SourceName;
  readonly state: "starting" | "answering" | "outage";
  /** Since when, ISO 8601. */
  readonly since: string;
  /** Of an outage. */
  readonly reason: string | null;
  /** How many nodes count as listed. */
  readonly nodes: number;
  /** Those of them that it lists no longer, though it did. */
  readonly withheld: readonly string[];
  readonly leftOut: readonly string[];
}

interface Running {
  /** What it was opened with; another makes it another source. */
  readonly options: string;
  readonly opened: Promise<Source | undefined>;
  isEnded: boolean;
  held: Held;
  state: SourceState["state"];
  sinceMs: number;
  reason: string | null;
  leftOut: readonly string[];
}

/** Asks all configured sources at once, and keeps what each listed last while it can't be asked. */
export class Discovery {
  readonly #init: DiscoveryInit;
  #settings: Settings;
  readonly #running = new Map<SourceName, Running>();

  constructor(init: DiscoveryInit) {
    this.#init = init;
    this.#settings = init.settings;
  }

  async start(): Promise<this> {
    await this.configure(this.#settings);
    return this;
  }

  /** Begins, ends and begins anew what the settings change. What a source listed stays until it answers anew. */
  async configure(settings: Settings): Promise<void> {
    this.#settings = settings;
    const asked = sourcesOf(settings);
    for (const source of SOURCES) {
      const before = this.#running.get(source);
      const wanted = asked.includes(source) ? sourceOptions(source, settings) : undefined;
      if (before?.options === wanted) continue;
      if (before) await this.#end(before);
      if (wanted === undefined) this.#forget(source);
      else await this.#begin(source, wanted, before?.held ?? NOTHING_HELD);
    }
  }

  /**
   * Looks again at nodes that a source lists no longer. To be called about once a second.
   *
   * @param seen names of the other nodes that are linked or were heard just now
   */
  review(seen: ReadonlySet<string>, nowMs: number): void {
    for (const [source, running] of this.#running) {
      // What it would say now is not known: nothing new speaks for anybody's end.
      if (running.state !== "answering") continue;
      this.#hold(source, running, reviewWithheld(running.held, seen, nowMs));
    }
  }

  states(): SourceState[] {
    return [...this.#running].map(([source, { state, sinceMs, reason, held, leftOut }]) => ({
      source,
      state,
      since: new Date(sinceMs).toISOString(),
      reason,
      nodes: held.listed.size + held.withheld.size,
      withheld: [...held.withheld.keys()],
      leftOut,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((running) => this.#end(running)));
  }

  async #begin(source: SourceName, options: string, held: Held): Promise<void> {
    const running: Running = {
      options,
      opened: openSource(source, this.#settings, {
        onReport: (report) => {
          if (!running.isEnded) this.#onReport(source, running, report);
        },
      }).catch((error: unknown) => {
        this.#init.log.error({ err: error, source }, "a source of discovery can't be opened");
        const reason = errorText(error);
        this.#onReport(source, running, { kind: "outage", reason });
        return undefined;
      }),
      isEnded: false,
      held,
      state: "starting",
      sinceMs: Date.now(),
      reason: null,
      leftOut: [],
    };
    this.#running.set(source, running);
    const opened = await running.opened;
    if (!running.isEnded) opened?.start();
  }

  async #end(running: Running): Promise<void> {
    running.isEnded = true;
    const source = await running.opened;
    await source?.[Symbol.asyncDispose]();
  }

  #forget(source: SourceName): void {
    if (!this.#running.delete(source)) return;
    for (const code of CODES) this.#init.conditions.clear(code, source);
    this.#init.onNodes(source, []);
  }

  #onReport(source: SourceName, running: Running, report: Report): void {
    const { conditions } = this.#init;
    const nowMs = Date.now();
    const state = report.kind === "listing" ? "answering" : "outage";
    if (state !== running.state) running.sinceMs = nowMs;
    running.state = state;
    running.reason = report.kind === "outage" ? report.reason : null;
    if (report.kind === "outage") {
      const count = running.held.listed.size + running.held.withheld.size;
      conditions.raise("discovery-outage", { source, reason: report.reason, count }, source);
      return;
    }
    running.leftOut = report.leftOut;
    conditions.clear("discovery-outage", source);
    const [first = ""] = report.leftOut;
    conditions.set(report.leftOut.length > 0, "discovery-unusable", { source, first }, source);
    const held =
      // An operator's list is not in doubt: who shortens it means it.
      source === "static"
        ? takeListing(NOTHING_HELD, report.nodes, nowMs)
        : takeListing(running.held, report.nodes, nowMs);
    this.#hold(source, running, held);
  }

  #hold(source: SourceName, running: Running, held: Held): void {
    if (held === running.held) return;
    running.held = held;
    const missing = held.withheld.size;
    const detail = { source, missing, known: held.listed.size + missing };
    this.#init.conditions.set(missing > 0, "discovery-shrunk", detail, source);
    this.#init.onNodes(source, heldNodes(held));
  }
}

const CODES = ["discovery-outage", "discovery-unusable", "discovery-shrunk"] as const;
