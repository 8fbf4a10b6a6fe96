import type { FleetNode } from "../coordinator/fleet/fleet-node.ts";
import type { LabNode } from "../lab/lab-node.ts";
import type { LinkProxy } from "../lab/link-proxy.ts";
import { Arm } from "./support/arms.ts";
import { type Figure, progress, report, spreadOf } from "./support/figures.ts";
import { LiveEvents } from "./support/live-events.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- detect [--runs 10] [--fault <word of its name>] [--quick] [--json]

From a fault of a leaf to the coordinator's live event that tells of it, on a whole fleet with the heartbeat of lan
(250 ms). The leaves take turns, so that none comes and goes often enough to be held back.
`;

type Health = FleetNode["health"];

interface Fault {
  readonly what: string;
  readonly mostMs: number;
  readonly isTold: (health: Health) => boolean;
  readonly breakIt: (leaf: LabNode, link: LinkProxy) => Promise<unknown>;
  readonly mend: (leaf: LabNode, link: LinkProxy) => Promise<unknown>;
  /** Never told meanwhile. */
  readonly never?: Health["state"];
}

const isNotUp = ({ state }: Health) => state !== "up";
const isUnreachable = ({ state }: Health) => state === "unreachable";
const isDown = (part: Health["part"]) => (health: Health) => health.state === "down" && health.part === part;
const linkUp = (_: LabNode, link: LinkProxy) => link.set({ state: "up" });

const FAULTS: readonly Fault[] = [
  {
    what: "closed socket to not up",
    mostMs: 50,
    isTold: isNotUp,
    breakIt: (_, link) => link.set({ state: "down" }),
    mend: linkUp,
  },
  {
    what: "black hole to unreachable",
    mostMs: 2_000,
    isTold: isUnreachable,
    breakIt: (_, link) => link.set({ state: "blackhole" }),
    mend: linkUp,
    never: "down",
  },
  {
    what: "node stopped to unreachable",
    mostMs: 2_000,
    isTold: isUnreachable,
    breakIt: (leaf) => leaf.stop(),
    mend: (leaf) => leaf.cont(),
    never: "down",
  },
  {
    what: "agent killed to down",
    mostMs: 2_000,
    isTold: isDown("agent"),
    breakIt: (leaf) => leaf.kill("daemon"),
    mend: (leaf) => leaf.start("daemon"),
  },
  {
    what: "agent stopped to down",
    mostMs: 2_000,
    isTold: isDown("agent"),
    breakIt: (leaf) => leaf.stop("daemon"),
    mend: (leaf) => leaf.cont("daemon"),
  },
  {
    what: "agent's SIGTERM to down",
    mostMs: 2_000,
    isTold: isDown("agent"),
    breakIt: (leaf) => leaf.finish("daemon"),
    mend: (leaf) => leaf.start("daemon"),
  },
  {
    what: "server killed to down",
    mostMs: 2_000,
    isTold: isDown("server"),
    breakIt: (leaf) => leaf.kill("nats"),
    mend: (leaf) => leaf.start("nats"),
  },
];

const options = readOptions(USAGE, { values: ["runs", "fault"] });
const runs = options.number("runs", options.quick ? 2 : 10);
const wanted = options.text("fault") ?? "";
const LEAVES = 4;
const TIMEOUT_MS = 60_000;

await using arm = await Arm.start("cim", { leaves: LEAVES });
using events = await LiveEvents.open(arm.hub.httpUrl);
const figures: Figure[] = [];
let turn = 0;
for (const fault of FAULTS.filter(({ what }) => what.includes(wanted))) {
  const found: number[] = [];
  const back: number[] = [];
  for (let run = 0; run < runs; run++) {
    const { foundMs, backMs } = await once(fault, arm.leaf((turn++ % LEAVES) + 1));
    found.push(foundMs);
    back.push(backMs);
  }
  progress(
    `${fault.what}: ${found.map(Math.round).join(" ")} ms; mended to up: ${back.map(Math.round).join(" ")} ms`,
  );
  const { p50, max } = spreadOf(found);
  figures.push(
    { what: `${fault.what}, p50`, unit: "ms", cim: p50 },
    { what: `${fault.what}, longest`, unit: "ms", cim: max, goal: { most: fault.mostMs } },
  );
}
if ("coordinator restarted".includes(wanted)) {
  const found: number[] = [];
  for (let run = 0; run < Math.min(runs, 5); run++) found.push(await restarted());
  progress(`coordinator killed, from ready to all up: ${found.map(Math.round).join(" ")} ms`);
  const goal = { most: 1_000 };
  figures.push({
    what: "coordinator restarted, ready to all up",
    unit: "ms",
    cim: spreadOf(found).max,
    goal,
  });
}
report("detect: a fleet of four leaves, lan", figures, { json: options.json });

async function once(fault: Fault, leaf: LabNode): Promise<{ foundMs: number; backMs: number }> {
  await isUp(leaf.name);
  const link = arm.lab.link(leaf.name);
  const faultAtMs = performance.now();
  const broken = fault.breakIt(leaf, link);
  const told = await events.after(faultAtMs, leaf.name, fault.isTold, TIMEOUT_MS);
  await broken;
  const wrong = events.told.find(
    (one) => one.atMs >= faultAtMs && one.node === leaf.name && one.health.state === fault.never,
  );
  if (wrong)
    throw new Error(`${fault.what}: told as ${wrong.health.state}: ${wrong.health.evidence.join(", ")}`);
  const mendedAtMs = performance.now();
  await fault.mend(leaf, link);
  const { atMs } = await events.after(mendedAtMs, leaf.name, ({ state }) => state === "up", TIMEOUT_MS);
  return { foundMs: told.atMs - faultAtMs, backMs: atMs - mendedAtMs };
}

/** From the new coordinator's being ready to all leaves up. */
async function restarted(): Promise<number> {
  await arm.hub.kill("daemon");
  await arm.hub.start("daemon");
  const readyMs = performance.now();
  for (const leaf of arm.lab.leaves) await isUp(leaf.name);
  return performance.now() - readyMs;
}

async function isUp(name: string): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const reply = await fetch(`${arm.hub.httpUrl}/api/v1/nodes/${name}`);
    const { health } = (await reply.json()) as FleetNode;
    if (health.state === "up" && !health.suspect) return;
    if (performance.now() > deadline) throw new Error(`${name} is not up: ${health.evidence.join(", ")}`);
  }
}
