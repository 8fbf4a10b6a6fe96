import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DAEMON_NODE_OPTIONS, daemonEnvironment } from "../lab/daemon-command.ts";
import type { LabNode } from "../lab/lab-node.ts";
import { LabProcess } from "../lab/process.ts";
import { waitForDaemon } from "../lab/readiness.ts";
import { Arm } from "./support/arms.ts";
import { writeBacklog } from "./support/backlog.ts";
import { type Figure, median, progress, report } from "./support/figures.ts";
import { appendSteadily, LiveReader, liveTimes } from "./support/live-load.ts";
import { readOptions } from "./support/options.ts";
import { processUse } from "./support/process-use.ts";
import { readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- footprint [--seconds 20] [--events 100000] [--starts 5] [--settle 60] [--node-flags "--max-semi-space-size=1"]
  [--only sources|bundle] [--bundles dist] [--quick] [--json]

What the daemons use in a fleet of a hub and two leaves, from /proc: resident memory idle, live at 200 events a second,
and at its highest while a backlog is shipped and copied; CPU while idle, at once and after --settle seconds, when Node has compiled
what runs again and again; and the time from the start of the process
until /readyz, its server running. --node-flags: other options of Node than daemons have. The sources, and the bundles of npm run build when dist/ has them.
`;

const options = readOptions(USAGE, {
  values: ["seconds", "events", "starts", "settle", "node-flags", "only", "bundles"],
});
const seconds = options.number("seconds", options.quick ? 5 : 20);
const events = options.number("events", options.quick ? 20_000 : 100_000);
const starts = options.number("starts", options.quick ? 2 : 5);
const settleS = options.number("settle", options.quick ? 3 : 60);
const root = join(import.meta.dirname, "..");
const bundles = resolve(root, options.text("bundles") ?? "dist");
const nodeFlags = options.text("node-flags")?.split(" ") ?? DAEMON_NODE_OPTIONS;
const READY_TIMEOUT_MS = 15_000;
const RATE = 200;

interface Use {
  readonly readyMs: number;
  readonly firstIdleCpuPercent: number;
  readonly idleCpuPercent: number;
  readonly idleMb: number;
  readonly liveMb: number;
  readonly peakMb: number;
}

const programs = { agent: "agent", coordinator: "coordinator" } as const;
type Program = keyof typeof programs;

const kinds: Record<string, (program: Program) => string> = {
  sources: (program) => join(root, program, "main.ts"),
  bundle: (program) => join(bundles, `cim-${program}.js`),
};
if (!existsSync(kinds.bundle?.("agent") ?? "")) {
  progress("dist/ has no bundles: only the sources are measured (npm run build makes them)");
  delete kinds.bundle;
}
for (const kind of Object.keys(kinds)) if ((options.text("only") ?? kind) !== kind) delete kinds[kind];

const found: Record<string, Record<Program, Use>> = {};
for (const [kind, entry] of Object.entries(kinds)) {
  found[kind] = await measure(entry);
  progress(`${kind}: ${JSON.stringify(found[kind])}`);
}
report("footprint: daemons of a hub and two leaves", figures(), { json: options.json, details: found });

function figures(): Figure[] {
  return Object.entries(found).flatMap(([kind, of]) =>
    (Object.keys(programs) as Program[]).flatMap((program): Figure[] => {
      const use = of[program];
      const line = (what: string, unit: string, cim: number, most?: number): Figure => ({
        what: `${program} (${kind}) ${what}`,
        unit,
        cim,
        ...(most !== undefined && { goal: { most } }),
      });
      return [
        line("ready", "ms", use.readyMs, 500),
        line("idle CPU at first", "%", use.firstIdleCpuPercent),
        line(`idle CPU after ${settleS} s`, "%", use.idleCpuPercent, 1),
        line("RSS idle", "MB", use.idleMb),
        line("RSS live", "MB", use.liveMb, 80),
        line("RSS highest in catch-up", "MB", use.peakMb, 110),
      ];
    }),
  );
}

/** The lab's servers with daemons of our own starting: the lab runs sources from a checkout. */
async function measure(entry: (program: Program) => string): Promise<Record<Program, Use>> {
  await using arm = await Arm.start("cim", { leaves: 2 });
  const watched = { coordinator: arm.hub, agent: arm.leaf(1) };
  const others: AsyncDisposable[] = [];
  const folder = await mkdtemp(join(tmpdir(), "cim-bench-logs-"));
  try {
    for (const node of [arm.hub, ...arm.lab.leaves]) await node.finish("daemon");
    const running = {} as Record<Program, LabProcess>;
    const readyMs = {} as Record<Program, number>;
    for (const program of ["coordinator", "agent"] as const) {
      const times: number[] = [];
      for (let start = 0; start < starts; start++) {
        const one = await startDaemon(watched[program], entry(program), folder);
        times.push(one.readyMs);
        if (start === starts - 1) running[program] = one.process;
        else await one.process.finish(5000);
      }
      readyMs[program] = median(times);
    }
    const second = await startDaemon(arm.leaf(2), entry("agent"), folder);
    const all = [running.agent, second.process, running.coordinator];
    others.push({
      async [Symbol.asyncDispose]() {
        for (const process of all) await process.finish(5000);
      },
    });
    return await watch(arm, running, readyMs);
  } finally {
    for (const other of others) await other[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

async function watch(
  arm: Arm,
  running: Record<Program, LabProcess>,
  readyMs: Record<Program, number>,
): Promise<Record<Program, Use>> {
  const use = async () => ({
    agent: await processUse(running.agent.pid),
    coordinator: await processUse(running.coordinator.pid),
  });
  // What the start and the first links cost is over.
  await sleep(3000);
  const firstFrom = await use();
  await sleep(seconds * 1000);
  const first = await use();
  await sleep(Math.max(0, settleS - seconds) * 1000);
  const idleFrom = await use();
  await sleep(seconds * 1000);
  const idle = await use();
  const count = seconds * RATE;
  const times = liveTimes(count);
  const hub = await arm.connect(arm.hub);
  await using reader = await LiveReader.start(hub, "orders", times);
  const reading = reader.readAll(count);
  await appendSteadily(arm.leaf(1), times, { ratePerS: RATE, from: 0, to: count, domain: "orders" });
  const live = await use();
  await reading;
  await arm.cut();
  const last = await writeBacklog(arm.leaf(1), events, "late");
  await Promise.all(arm.lab.leaves.map(({ name }) => arm.lab.link(name).set({ state: "up" })));
  for (const node of [arm.hub, ...arm.lab.leaves]) {
    await readableAt(await arm.connect(node), last, { timeoutMs: 300_000, everyMs: 50 });
  }
  const end = await use();
  const percent = (cpuS: number) => +((cpuS / seconds) * 100).toFixed(2);
  const of = (program: Program): Use => ({
    readyMs: readyMs[program],
    firstIdleCpuPercent: percent(first[program].cpuS - firstFrom[program].cpuS),
    idleCpuPercent: percent(idle[program].cpuS - idleFrom[program].cpuS),
    idleMb: idle[program].rssMb,
    liveMb: live[program].rssMb,
    peakMb: end[program].peakRssMb,
  });
  return { agent: of("agent"), coordinator: of("coordinator") };
}

async function startDaemon(node: LabNode, entry: string, folder: string) {
  const startedMs = performance.now();
  const process_ = await LabProcess.start({
    label: `${node.name}'s daemon`,
    command: [process.execPath, ...nodeFlags, entry, "--config", node.paths.config],
    cwd: node.paths.dir,
    env: daemonEnvironment(process.env),
    logFile: join(folder, `${node.name}.log`),
  });
  await waitForDaemon(process_, node.httpUrl, "ready", READY_TIMEOUT_MS);
  return { process: process_, readyMs: performance.now() - startedMs };
}
