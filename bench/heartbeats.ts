import { setTimeout as sleep } from "node:timers/promises";
import type { FleetNode } from "../coordinator/fleet/fleet-node.ts";
import { type Heartbeat, PROTOCOL_VERSION } from "../shared/protocol/messages.ts";
import { heartbeatSubject } from "../shared/protocol/subjects.ts";
import { Arm } from "./support/arms.ts";
import { progress, report, spreadOf } from "./support/figures.ts";
import { LiveEvents } from "./support/live-events.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";
import { connectAsDaemon } from "./support/simulated-uplink.ts";

const USAGE = `
npm run bench -- heartbeats [--leaves 10000] [--seconds 30] [--silent 100] [--quick] [--json]

One coordinator and ten thousand leaves that send a heartbeat each second (as wan): its CPU and memory, then the time from
the last heartbeat of some of them, which fall silent at once, to the event that tells of it. The heartbeats are real
messages through the hub's nats-server over eight connections; the leaves' servers and links are not there.
`;

const options = readOptions(USAGE, { values: ["leaves", "seconds", "silent"] });
const leaves = options.number("leaves", 10_000);
const seconds = options.number("seconds", options.quick ? 10 : 30);
const silent = options.number("silent", Math.min(100, leaves / 10));
const CONNECTIONS = 8;
const INTERVAL_MS = 1_000;
const TURN_MS = 5;
/** The registry's first records: 256 with each turn of a second. */
const WRITES_PER_S = 200;
const TIMEOUT_MS = 60_000;
/** Six intervals, a turn of the coordinator, and what a busy machine adds. */
const VERDICT_MS = 7_000;
const names = Array.from({ length: leaves }, (_, at) => `sim-${String(at + 1).padStart(5, "0")}`);
/** When each was last heard, or has to be silent from: by `performance.now()`. */
const lastBeatMs = new Map<string, number>();
const muted = new Set<string>();

await using arm = await Arm.start("cim", { leaves: 0 });
const coordinator = arm.hub.daemon?.pid ?? 0;
const server = arm.hub.nats?.pid ?? 0;
const connections = await connectAsDaemon(arm.hub, CONNECTIONS);
try {
  await run();
} finally {
  await Promise.all(connections.map((nc) => nc.close()));
}

async function run(): Promise<void> {
  using _beats = beat();
  const startedMs = performance.now();
  while ((await upNodes()) < leaves) {
    if (performance.now() - startedMs > TIMEOUT_MS) throw new Error("not all came up");
    await sleep(500);
  }
  progress(`all ${leaves} are up after ${Math.round(performance.now() - startedMs)} ms`);
  // Their records are written meanwhile; that happens once.
  await sleep((leaves / WRITES_PER_S) * 1_000 + 5_000);
  using events = await LiveEvents.open(arm.hub.httpUrl);
  const before = await use();
  const fromMs = performance.now();
  await sleep(seconds * 1000);
  const after = await use();
  const elapsedS = (performance.now() - fromMs) / 1000;
  const wrong = events.told.length;
  for (const { node, health } of events.told.slice(0, 10))
    progress(
      `wrong: ${node} ${health.state}${health.suspect ? ", suspected" : ""}: ${health.evidence.join(", ")}`,
    );
  for (const name of names.slice(0, silent)) muted.add(name);
  const found = await Promise.all(
    names.slice(0, silent).map(async (name) => {
      const told = await events.after(fromMs, name, ({ state }) => state !== "up", TIMEOUT_MS);
      return told.atMs - (lastBeatMs.get(name) ?? 0);
    }),
  );
  const { p50, max } = spreadOf(found);
  report(
    `heartbeats: one coordinator, ${leaves} leaves, one a second each`,
    [
      {
        what: "coordinator's CPU",
        unit: "cores",
        cim: (after.coordinator.cpuS - before.coordinator.cpuS) / elapsedS,
        goal: { most: 1 },
      },
      {
        what: "coordinator's RSS, highest",
        unit: "MB",
        cim: after.coordinator.peakRssMb,
        goal: { most: 512 },
      },
      { what: "doubts and verdicts that were wrong", unit: "", cim: wrong, goal: { most: 0 } },
      { what: `${silent} at once silent to told, p50`, unit: "ms", cim: p50 },
      { what: `${silent} at once silent to told, longest`, unit: "ms", cim: max, goal: { most: VERDICT_MS } },
      { what: "hub's nats-server", unit: "cores", cim: (after.server.cpuS - before.server.cpuS) / elapsedS },
      { what: "the simulated leaves", unit: "cores", cim: (after.us - before.us) / elapsedS },
    ],
    { json: options.json },
  );
}

/** Heartbeats of all that are not muted, spread evenly over the interval, until it is stopped. */
function beat(): Disposable {
  const startMs = performance.now();
  let beats = 0;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const due = ((nowMs - startMs) / INTERVAL_MS) * leaves; beats < due; beats++) {
      const name = names[beats % leaves] as string;
      if (muted.has(name)) continue;
      lastBeatMs.set(name, nowMs);
      connections[beats % CONNECTIONS]?.publish(heartbeatSubject(name), JSON.stringify(heartbeatOf(name)));
    }
  }, TURN_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function upNodes(): Promise<number> {
  const reply = await fetch(`${arm.hub.httpUrl}/api/v1/nodes`);
  const { nodes } = (await reply.json()) as { nodes: FleetNode[] };
  return nodes.filter(({ role, health }) => role === "leaf" && health.state === "up").length;
}

async function use() {
  const { user, system } = process.cpuUsage();
  return {
    coordinator: await processUse(coordinator),
    server: await processUse(server),
    us: (user + system) / 1e6,
  };
}

function heartbeatOf(node: string): Heartbeat {
  const nowMs = Date.now();
  return {
    version: PROTOCOL_VERSION,
    build: "bench",
    server: "2.15.2",
    node,
    run: node,
    startedMs: nowMs,
    sentMs: nowMs,
    intervalMs: INTERVAL_MS,
    region: "eu",
    capabilities: ["gpu"],
    coordinates: { latitude: 52.52, longitude: 13.4 },
    contracts: "fc4f4009c110d5f5",
    incarnation: 1,
    reign: null,
    outbox: { first: 1, last: 1, bytes: 1000, maxBytes: 1_000_000_000, confirmed: 1, oldestUnshippedS: 0 },
    copy: { reign: null, index: 1, domains: ["*"], newestMs: nowMs },
    load: 0.1,
    disk: { freeBytes: 1e10, runwayS: null },
    conditions: [],
  };
}
