import type { Registry } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import PromRegistry from "prom-client/lib/registry.js";
import { VERSION } from "./build-info.ts";
import type { Conditions } from "./conditions.ts";
import {
  type LabelsOf,
  METRICS,
  type MetricDeclaration,
  type MetricName,
  type NamesOf,
} from "./metric-table.ts";
import { collectProcessMetrics } from "./process-metrics.ts";

/** Series that a metric may have; what is beyond is added up under `_other`. Protects a scrape from a foreign publisher's imagination. */
const MOST_SERIES = 10_000;

/** The labelled values of a metric at the moment of a scrape. */
export type Series<Name extends MetricName> = Iterable<readonly [LabelsOf<Name>, number]>;

export interface MetricsOptions {
  /** Whose metrics are shown: `["agent"]`, or both for a hub's daemon. */
  readonly by: readonly ("agent" | "coordinator")[];
  /** Shown as `cim_condition{code,severity}`. */
  readonly conditions?: Conditions;
  /** Also the process's own: memory, CPU, files. Default true. */
  readonly process?: boolean;
  readonly mostSeries?: number;
}

/**
 * A daemon's metrics, all of them declared in the table. A gauge that has not been set is not shown (a runway of 0
 * would be an alarm); counters without labels begin at 0.
 */
export class Metrics {
  readonly contentType = PromRegistry.PROMETHEUS_CONTENT_TYPE;
  readonly #registry: Registry = new PromRegistry();
  readonly #counters = new Map<MetricName, Counter>();
  readonly #gauges = new Map<MetricName, Gauge>();
  readonly #histograms = new Map<MetricName, Histogram>();
  readonly #sources = new Map<
    MetricName,
    () => Iterable<readonly [Readonly<Record<string, string>>, number]>
  >();
  readonly #mostSeries: number;

  constructor({ by, conditions, process: own = true, mostSeries = MOST_SERIES }: MetricsOptions) {
    this.#mostSeries = mostSeries;
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const declared: MetricDeclaration = METRICS[name];
      if (declared.kind !== "gauge" && declared.by.some((part) => by.includes(part))) this.#declare(name);
    }
    this.set("cim_build_info", { version: VERSION }, 1);
    if (conditions !== undefined) this.readFrom("cim_condition", () => shownConditions(conditions));
    if (own) collectProcessMetrics(this.#registry);
  }

  /** Sets a gauge. */
  set<Name extends NamesOf<"gauge">>(name: Name, labels: LabelsOf<Name>, value: number): void {
    const gauge = this.#gauge(name);
    if (Number.isFinite(value)) gauge.set(labels, value);
    else gauge.remove(labels);
  }

  /** Takes a gauge's series away, as that of a node that left. */
  remove<Name extends NamesOf<"gauge">>(name: Name, labels: LabelsOf<Name>): void {
    this.#gauges.get(name)?.remove(labels);
  }

  /** Raises a counter. */
  add<Name extends NamesOf<"counter">>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#counter(name).inc(labels, by);
  }

  /** Counts a value of a histogram. Below 0, as when two machines' clocks differ, counts as 0. */
  observe<Name extends NamesOf<"histogram">>(name: Name, value: number): void {
    this.#histogram(name).observe(Math.max(0, value));
  }

  /**
   * Takes a counter's or gauge's values from somebody who knows them, at each scrape: absolute ones, not increments.
   * This is how `cim_events_processed_total` says what the log says, over restarts too.
   */
  readFrom<Name extends NamesOf<"counter" | "gauge">>(name: Name, read: () => Series<Name>): void {
    this.#sources.set(name, read);
    this.#declare(name);
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    for (const [name, read] of this.#sources) this.#take(name, read());
    return this.#registry.metrics();
  }

  #take(name: MetricName, series: Iterable<readonly [Readonly<Record<string, string>>, number]>): void {
    const target = this.#counters.get(name) ?? this.#gauges.get(name);
    if (target === undefined) return;
    target.reset();
    if (target instanceof Gauge) target.remove({});
    const other = Object.fromEntries(METRICS[name].labels.map((label) => [label, "_other"]));
    let taken = 0;
    for (const [labels, value] of series) {
      if (!Number.isFinite(value) || value < 0) continue;
      target.inc(taken < this.#mostSeries ? { ...labels } : other, value);
      taken += 1;
    }
  }

  #declare(name: MetricName): void {
    const { kind }: MetricDeclaration = METRICS[name];
    if (kind === "counter") this.#counter(name);
    else if (kind === "gauge") this.#gauge(name);
    else this.#histogram(name);
  }

  #counter(name: MetricName): Counter {
    return once(this.#counters, name, () => new Counter(this.#options(name)));
  }

  #gauge(name: MetricName): Gauge {
    return once(this.#gauges, name, () => new Gauge(this.#options(name)));
  }

  #histogram(name: MetricName): Histogram {
    const { buckets = [] }: MetricDeclaration = METRICS[name];
    return once(
      this.#histograms,
      name,
      () => new Histogram({ ...this.#options(name), buckets: [...buckets] }),
    );
  }

  #options(name: MetricName) {
    const { help, labels }: MetricDeclaration = METRICS[name];
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

function* shownConditions(conditions: Conditions): Series<"cim_condition"> {
  const counts = new Map<string, readonly [LabelsOf<"cim_condition">, number]>();
  for (const { code, severity } of conditions.list()) {
    counts.set(code, [{ code, severity }, (counts.get(code)?.[1] ?? 0) + 1]);
  }
  yield* counts.values();
}

function once<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
}
