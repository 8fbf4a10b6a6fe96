import type { Registry } from "prom-client";
import Counter from "prom-client/lib/counter.js";
import collectHeap from "prom-client/lib/metrics/heapSizeAndUsed.js";
import collectMemory from "prom-client/lib/metrics/osMemoryHeap.js";
import collectFileLimit from "prom-client/lib/metrics/processMaxFileDescriptors.js";
import collectFiles from "prom-client/lib/metrics/processOpenFileDescriptors.js";
import collectStartTime from "prom-client/lib/metrics/processStartTime.js";
import collectVersion from "prom-client/lib/metrics/version.js";

/**
 * prom-client's process metrics without those that cost something all the time: the event loop's lag wakes the
 * process a hundred times a second, garbage collection's needs an observer, its CPU metric loads OpenTelemetry.
 */
export function collectProcessMetrics(registry: Registry): void {
  for (const collect of [
    collectMemory,
    collectHeap,
    collectFiles,
    collectFileLimit,
    collectStartTime,
    collectVersion,
  ]) {
    collect(registry);
  }
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
