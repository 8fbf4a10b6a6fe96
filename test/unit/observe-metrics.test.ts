import { describe, expect, it } from "vitest";
import { VERSION } from "../../shared/observe/build-info.ts";
import { Conditions } from "../../shared/observe/conditions.ts";
import { METRICS } from "../../shared/observe/metric-table.ts";
import { Metrics } from "../../shared/observe/metrics.ts";

const both = ["agent", "coordinator"] as const;

/** The samples of a scrape: `name{labels}` → value. */
async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

describe("metrics", () => {
  it("say absolutely what their source says, at each scrape anew", async () => {
    const counts = new Map([["leaf1", 1000]]);
    const metrics = new Metrics({ by: both, process: false });
    metrics.readFrom("cim_events_processed_total", () =>
      [...counts].map(([node, count]) => [{ domain: "person", node }, count] as const),
    );
    const sample = (node: string) => `cim_events_processed_total{domain="person",node="${node}"}`;
    expect((await scrape(metrics)).get(sample("leaf1"))).toBe(1000);
    expect((await scrape(metrics)).get(sample("leaf1"))).toBe(1000);
    counts.set("leaf1", 2000).set("leaf2", 1);
    const later = await scrape(metrics);
    expect(later.get(sample("leaf1"))).toBe(2000);
    expect(later.get(sample("leaf2"))).toBe(1);
    counts.delete("leaf1");
    expect((await scrape(metrics)).has(sample("leaf1"))).toBe(false);
  });

  it("keep the sum, and a bound, when a source has more series than fit", async () => {
    const metrics = new Metrics({ by: both, process: false, mostSeries: 3 });
    metrics.readFrom("cim_events_processed_total", () =>
      Array.from({ length: 10 }, (_, i) => [{ domain: `d${i}`, node: "leaf1" }, 10] as const),
    );
    const samples = [...(await scrape(metrics))].filter(([name]) => name.startsWith("cim_events_processed"));
    expect(samples).toHaveLength(4);
    expect(samples.reduce((sum, [, value]) => sum + value, 0)).toBe(100);
    expect(samples.at(-1)).toEqual(['cim_events_processed_total{domain="_other",node="_other"}', 70]);
  });

  it("have what the usual alert rules evaluate on: buckets with a bound at 1 s, from 1 ms to a minute", async () => {
    const metrics = new Metrics({ by: ["coordinator"], process: false });
    for (const seconds of [-1, 0.0005, 0.9, 1, 1.5, 45, 100]) {
      metrics.observe("cim_event_processing_duration_seconds", seconds);
    }
    const samples = await scrape(metrics);
    const bucket = (le: string) => samples.get(`cim_event_processing_duration_seconds_bucket{le="${le}"}`);
    expect([bucket("0.001"), bucket("1"), bucket("60"), bucket("+Inf")]).toEqual([2, 4, 6, 7]);
    expect(samples.get("cim_event_processing_duration_seconds_sum")).toBeCloseTo(148.4005);
    const buckets = METRICS.cim_event_processing_duration_seconds.buckets;
    expect([...buckets].sort((a, b) => a - b)).toEqual([...buckets]);
  });

  it("show counters from 0, but no gauge that nobody has set", async () => {
    const metrics = new Metrics({ by: ["agent"], process: false });
    const samples = await scrape(metrics);
    expect(samples.get("cim_copy_events_total")).toBe(0);
    expect(samples.get(`cim_build_info{version="${VERSION}"}`)).toBe(1);
    expect([...samples.keys()].filter((name) => /runway|epoch|log_batches/.test(name))).toEqual([]);
  });

  it("set, add and remove", async () => {
    const metrics = new Metrics({ by: both, process: false });
    metrics.set("cim_link_up", { node: "leaf1" }, 1);
    metrics.set("cim_link_up", { node: "leaf2" }, 0);
    metrics.add("cim_refused_total", { reason: "too-large" });
    metrics.add("cim_refused_total", { reason: "too-large" }, 2);
    metrics.set("cim_outbox_runway_seconds", {}, 60);
    const before = await scrape(metrics);
    expect(before.get('cim_link_up{node="leaf2"}')).toBe(0);
    expect(before.get('cim_refused_total{reason="too-large"}')).toBe(3);
    expect(before.get("cim_outbox_runway_seconds")).toBe(60);
    metrics.remove("cim_link_up", { node: "leaf2" });
    metrics.set("cim_outbox_runway_seconds", {}, Number.POSITIVE_INFINITY);
    const after = await scrape(metrics);
    expect([...after.keys()].filter((name) => /leaf2|runway/.test(name))).toEqual([]);
  });

  it("show the conditions that are shown", async () => {
    const conditions = new Conditions({ now: () => 0 });
    const metrics = new Metrics({ by: both, process: false, conditions });
    conditions.raise("disk-full");
    conditions.raise("refused-events", undefined, "leaf1");
    conditions.raise("refused-events", undefined, "leaf2");
    conditions.raise("link-down");
    const samples = await scrape(metrics);
    expect([...samples].filter(([name]) => name.startsWith("cim_condition"))).toEqual([
      ['cim_condition{code="disk-full",severity="error"}', 1],
      ['cim_condition{code="refused-events",severity="warning"}', 2],
    ]);
    conditions.clear("disk-full");
    expect((await scrape(metrics)).has('cim_condition{code="disk-full",severity="error"}')).toBe(false);
  });

  it("include the process's memory and CPU", async () => {
    const samples = await scrape(new Metrics({ by: ["agent"] }));
    expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(samples.get("process_cpu_seconds_total")).toBeGreaterThan(0);
  });

  it("are apart from those of another registry in the process", async () => {
    const first = new Metrics({ by: both, process: false });
    const second = new Metrics({ by: both, process: false });
    first.add("cim_log_batches_total", {}, 5);
    expect((await scrape(second)).get("cim_log_batches_total")).toBe(0);
  });
});

describe("the table of metrics", () => {
  it("has names in Prometheus' manner and no label that grows without bound", () => {
    const labels = new Set([
      "domain",
      "node",
      "origin",
      "state",
      "reason",
      "resolver",
      "code",
      "severity",
      "version",
    ]);
    for (const [name, declared] of Object.entries(METRICS)) {
      expect(name).toMatch(/^cim_[a-z_]+$/);
      expect(name.endsWith("_total"), name).toBe(declared.kind === "counter");
      expect(declared.labels.filter((label) => !labels.has(label))).toEqual([]);
    }
  });
});
