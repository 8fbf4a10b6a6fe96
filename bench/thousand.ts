import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { createUserKey } from "../shared/nats/nkeys.ts";
import { type Heartbeat, PROTOCOL_VERSION } from "../shared/protocol/messages.ts";
import { heartbeatSubject } from "../shared/protocol/subjects.ts";
import { Arm } from "./support/arms.ts";
import { progress, report, spreadOf } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";
import { connectAsDaemon, SimulatedUplink } from "./support/simulated-uplink.ts";

const USAGE = `
npm run bench -- thousand [--leaves 1000] [--rate 10] [--seconds 30] [--heartbeat-ms 1000] [--quick] [--json]

One coordinator and a thousand leaves with 10 events a second each: its CPU and memory. The leaves' uplinks are the
agent's own machine and blocks over eight NATS connections to the hub's server, with heartbeats (every second, as wan);
their outboxes are made up, their servers and links are not there. The time is from an event until the sequencer's
answer that it is in the log.
`;

const options = readOptions(USAGE, { values: ["leaves", "rate", "seconds", "heartbeat-ms"] });
const leaves = options.number("leaves", 1000);
const ratePerS = options.number("rate", 10);
const seconds = options.number("seconds", options.quick ? 8 : 30);
const heartbeatMs = options.number("heartbeat-ms", 1000);
const CONNECTIONS = 8;
const names = Array.from({ length: leaves }, (_, at) => `sim-${String(at + 1).padStart(4, "0")}`);
const keys = names.map(() => createUserKey().publicKey);

await using arm = await Arm.start("cim", {
  leaves: 0,
  configure: (document) => ({
    ...document,
    leaves: names.map((name, at) => ({ name, publicKey: keys[at] ?? "" })),
  }),
});
const coordinator = arm.hub.daemon?.pid ?? 0;
const server = arm.hub.nats?.pid ?? 0;
const connections = await connectAsDaemon(arm.hub, CONNECTIONS);
try {
  await run();
} finally {
  await Promise.all(connections.map((nc) => nc.close()));
}

async function run(): Promise<void> {
  const elapsed: number[] = [];
  let counting = false;
  const uplinks = names.map(
    (name, at) =>
      new SimulatedUplink(connections[at % CONNECTIONS] as NatsConnection, name, (ms) => {
        if (counting) elapsed.push(ms);
      }),
  );
  const startedMs = performance.now();
  for (const uplink of uplinks) uplink.start();
  while (!uplinks.every(({ ready }) => ready)) await sleep(5);
  progress(`all ${leaves} lanes are open after ${Math.round(performance.now() - startedMs)} ms`);
  const stop = live(uplinks);
  await sleep(3000);
  counting = true;
  const blocksBefore = uplinks.reduce((sum, { blocks }) => sum + blocks, 0);
  const before = {
    coordinator: await processUse(coordinator),
    server: await processUse(server),
    us: usedHere(),
  };
  const fromMs = performance.now();
  await sleep(seconds * 1000);
  const after = {
    coordinator: await processUse(coordinator),
    server: await processUse(server),
    us: usedHere(),
  };
  const elapsedS = (performance.now() - fromMs) / 1000;
  const waiting = uplinks.reduce((sum, uplink) => sum + uplink.waiting, 0);
  const blocks = uplinks.reduce((sum, uplink) => sum + uplink.blocks, 0) - blocksBefore;
  stop();
  const spread = spreadOf(elapsed);
  report(
    `thousand: one coordinator, ${leaves} leaves at ${ratePerS}/s`,
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
        goal: { most: 400 },
      },
      { what: "events into the log", unit: "/s", cim: elapsed.length / elapsedS },
      { what: "events a block", unit: "", cim: elapsed.length / blocks },
      { what: "in the log, p50", unit: "ms", cim: spread.p50 },
      { what: "in the log, p99", unit: "ms", cim: spread.p99 },
      { what: "waiting at the end", unit: "events", cim: waiting },
      { what: "hub's nats-server", unit: "cores", cim: (after.server.cpuS - before.server.cpuS) / elapsedS },
      { what: "the simulated leaves", unit: "cores", cim: (after.us - before.us) / elapsedS },
    ],
    { json: options.json, details: { spread, blocks } },
  );
}

/** Makes events and heartbeats at their rates, spread over the leaves and the time, until it is stopped. */
function live(uplinks: readonly SimulatedUplink[]): () => void {
  const startMs = performance.now();
  let made = 0;
  let beats = 0;
  const timer = setInterval(() => {
    const ms = performance.now() - startMs;
    for (const due = (ms / 1000) * ratePerS * leaves; made < due; made++) {
      const uplink = uplinks[made % leaves];
      if (uplink?.ready) uplink.make();
    }
    if (heartbeatMs === 0) return;
    for (const due = (ms / heartbeatMs) * leaves; beats < due; beats++) {
      const name = names[beats % leaves] as string;
      connections[beats % CONNECTIONS]?.publish(heartbeatSubject(name), JSON.stringify(heartbeatOf(name)));
    }
  }, 2);
  return () => clearInterval(timer);
}

function heartbeatOf(node: string): Heartbeat {
  return {
    version: PROTOCOL_VERSION,
    build: "bench",
    node,
    run: node,
    startedMs: Date.now(),
    sentMs: Date.now(),
    intervalMs: heartbeatMs,
    region: "eu",
    capabilities: [],
    incarnation: 1,
    reign: null,
    outbox: { first: 1, last: 1, bytes: 1000, maxBytes: 1_000_000_000, confirmed: 1, oldestUnshippedS: 0 },
    copy: { reign: null, index: 1, domains: ["*"], newestMs: Date.now() },
    load: 0.1,
    disk: { freeBytes: 1e10, runwayS: null },
    conditions: [],
  };
}

function usedHere(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
