import type { LogState } from "../../coordinator/sequencer/log-state.ts";
import { faultsOf } from "./checker.ts";
import { commitFaults } from "./commit-checker.ts";
import { BESIDE_A_PURGE, DISASTERS, type Disaster, Disasters } from "./disasters.ts";
import { CALM } from "./environment.ts";
import { Random } from "./random.ts";
import { readLog, type SimCoordinator } from "./sim-coordinator.ts";
import { isContinuous, positionOf } from "./sim-downlink.ts";
import { World } from "./world.ts";

export interface RunOptions {
  /** What may go wrong; default: chosen by the seed. */
  readonly disasters?: readonly Disaster[];
  readonly trace?: boolean;
  readonly lastingMs?: number;
}

export interface RunReport {
  readonly seed: number;
  readonly disasters: readonly Disaster[];
  readonly faults: readonly string[];
  readonly trace: readonly string[];
  readonly steps: number;
  readonly events: number;
  /** Those that were acknowledged, and all. */
  readonly commits: { readonly stored: number; readonly all: number };
  readonly logged: number;
}

const LOSSES: ReadonlySet<Disaster> = new Set([
  "restore-outbox",
  "recreate-outbox",
  "delete-copy",
  "restore-copy",
  "delete-event",
]);

/**
 * A log that was restored once and nothing else lost must be refilled to the last event. Restored again before a copy has
 * what was refilled, or beside other losses, it may be left without what is set aside then.
 */
function isAsideEnough(world: World, disasters: readonly Disaster[]): boolean {
  return world.logRestores > 1 || (world.logRestores > 0 && disasters.some((each) => LOSSES.has(each)));
}

/** When nothing goes wrong any more, all must be everywhere within that time. */
const RECOVERY_MS = 6000;

/** One run: bad weather and disasters for a while, then none, and what is there in the end. */
export function runSimulation(seed: number, options: RunOptions = {}): RunReport {
  const choose = new Random(seed * 7919 + 1);
  const chosen = DISASTERS.filter(() => choose.chance(choose.pick([0.15, 0.4, 0.8])));
  const purges = chosen.includes("purge-log");
  const disasters = options.disasters ?? chosen.filter((each) => !purges || !BESIDE_A_PURGE.has(each));
  const kindness = choose.pick([0, 0.3, 1, 1]);
  const world = new World({
    seed,
    leaves: choose.between(1, 3),
    coordinators: choose.between(1, 2),
    trace: options.trace ?? false,
    weather: {
      lossy: 0.08 * kindness,
      doubled: 0.1 * kindness,
      unknownWrites: 0.08 * kindness,
      failedReads: 0.05 * kindness,
      slowestMs: choose.pick([3, 15, 60]),
    },
  });
  const faults: string[] = [];
  try {
    stormyTime(world, disasters, choose, options.lastingMs ?? choose.pick([300, 800, 1500]));
    const calmed = recover(world);
    if (!calmed) faults.push(`not at rest ${RECOVERY_MS} ms after the last disaster: ${whatIsLeft(world)}`);
    else faults.push(...memoryFaults(world));
    faults.push(
      ...faultsOf({
        ...world,
        log: world.wholeLog,
        firstKept: world.purged.length,
        asideIsEnough: isAsideEnough(world, disasters),
        leaves: world.leaves.map(streamsOf),
      }),
    );
    faults.push(...commitFaults(world.commits, world.wholeLog, world.logRestores > 0));
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return {
    seed,
    disasters,
    faults,
    trace: world.lines,
    steps: world.env.scheduler.steps,
    events: world.appends.length,
    commits: {
      stored: world.commits.filter(({ told }) => told && "version" in told).length,
      all: world.commits.length,
    },
    logged: world.env.log.messages.length,
  };
}

function streamsOf({ name, outbox, copy, setAside }: World["leaves"][number]) {
  return { name, outbox: outbox.messages, copy: copy.messages, setAside };
}

function stormyTime(world: World, disasters: readonly Disaster[], choose: Random, lastingMs: number): void {
  const { scheduler, random } = world.env;
  const trouble = new Disasters(world);
  for (const leaf of world.leaves) leaf.startAgent();
  world.coordinators[0]?.lead();
  if (choose.chance(0.3)) world.coordinators[1]?.lead();
  const events = choose.between(3, 30);
  for (let i = 0; i < events; i++)
    scheduler.after(random.between(0, lastingMs), () => world.append(random.pick(world.leaves)));
  const commits = choose.pick([0, 5, 25]);
  for (let i = 0; i < commits; i++) scheduler.after(random.between(0, lastingMs), () => world.commit());
  for (let atMs = 20; atMs < lastingMs; atMs += 60) scheduler.after(atMs, () => trouble.backUp());
  for (let atMs = 10; atMs < lastingMs; atMs += 25)
    scheduler.after(atMs, () => random.pick(world.leaves).trim());
  const every = choose.pick([60, 150, 400]);
  if (disasters.length > 0)
    for (let atMs = random.between(0, every); atMs < lastingMs; atMs += random.between(1, every * 2))
      scheduler.after(atMs, () => trouble.strike(random.pick(disasters)));
  scheduler.runUntil(lastingMs);
}

/** Everything works again, one coordinator leads, and an operator accepts what is gone. */
function recover(world: World): boolean {
  const { scheduler, weather } = world.env;
  world.env.trace(() => "=== calm");
  Object.assign(weather, CALM);
  const [first, ...others] = world.coordinators as [SimCoordinator, ...SimCoordinator[]];
  for (const coordinator of world.coordinators) coordinator.continue();
  // Longer than any pause and any late message of before.
  const settle = scheduler.nowMs + 500;
  scheduler.runUntil(settle);
  for (const coordinator of world.coordinators) coordinator.continue();
  for (const other of others) other.stop();
  first.lead();
  for (const leaf of world.leaves) {
    leaf.startAgent();
    leaf.mend();
  }
  const untilMs = settle + RECOVERY_MS;
  while (scheduler.nowMs < untilMs) {
    scheduler.runUntil(scheduler.nowMs + 50);
    for (const leaf of world.leaves) {
      leaf.uplink?.acceptHole();
      leaf.trim();
    }
    // A write of one that leads no more may have come in last; whoever leads finds that out with its own next one.
    if (!endsInReignOf(first, world)) world.leaves[0]?.uplink?.begin();
    // One that was paused may have come back since; it has no lease.
    for (const other of others) other.stop();
    first.look();
    for (const leaf of world.leaves) leaf.downlink?.look();
    if (isAtRest(world)) {
      // Whatever is still on its way must change nothing any more.
      scheduler.runUntil(scheduler.nowMs + 400);
      if (isAtRest(world)) return true;
    }
  }
  return false;
}

function endsInReignOf({ machine }: SimCoordinator, { env }: World): boolean {
  return positionOf(env.log.messages.at(-1))?.reign.id === machine.reign?.id;
}

function isAtRest(world: World): boolean {
  return whatIsLeft(world) === "";
}

function whatIsLeft(world: World): string {
  const [first] = world.coordinators;
  if (first?.machine.phase !== "leading" || first.machine.busy)
    return `${first?.name} ${first?.machine.phase}`;
  if (!endsInReignOf(first, world)) return "the log ends in another reign";
  const end = positionOf(world.env.log.messages.at(-1))?.index ?? 0;
  for (const { name, uplink, downlink, outbox } of world.leaves) {
    if (uplink?.machine.phase !== "shipping") return `${name} uplink ${uplink?.machine.phase}`;
    const last = outbox.messages.at(-1)?.seq ?? 0;
    if (uplink.machine.accepted < last) return `${name} has ${uplink.machine.accepted} of ${last} accepted`;
    if (downlink?.machine.phase !== "following") return `${name} downlink ${downlink?.machine.phase}`;
    if ((downlink.machine.position?.index ?? 0) !== end)
      return `${name} copied ${downlink.machine.position?.index} of ${end}`;
  }
  return "";
}

/** What the leader has in memory is what the log says, read whole or from its marks. */
function memoryFaults(world: World): string[] {
  const { log, scheduler } = world.env;
  const [leader] = world.coordinators;
  const faults: string[] = [];
  if (!isContinuous(world.wholeLog)) faults.push("the log is not continuous");
  const whole = readLog(world.wholeLog, true);
  const memory = leader?.machine.state;
  if (memory && tell(memory, whole) !== tell(whole, whole))
    faults.push(`memory is ${tell(memory, whole)}, the log ${tell(whole, whole)}`);
  const counted = [...(leader?.counted ?? [])].sort().join();
  const totals = [...whole.totals]
    .flatMap(([domain, byNode]) => [...byNode].map(([node, count]) => [`${domain} ${node}`, count]))
    .sort()
    .join();
  if (counted !== totals) faults.push(`counted ${counted}, the log has ${totals}`);
  leader?.checkpoint();
  scheduler.runUntil(scheduler.nowMs + 100);
  const fromMarks = readLog(log.messages);
  const again = readLog(world.wholeLog, true);
  if (tell(fromMarks, again) !== tell(again, again))
    faults.push(`from its marks the log is ${tell(fromMarks, again)}, read whole ${tell(again, again)}`);
  return faults;
}

/** Refusals may be forgotten once their origin set them aside, so only those that `like` has too are told. */
function tell(state: LogState, like: LogState): string {
  const lanes = [...state.lanes]
    .filter(([, lane]) => lane.incarnation > 0)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([node, { incarnation, mark, top, refused }]) => {
      const known = like.lanes.get(node)?.refused.map(({ seq }) => seq) ?? [];
      return { node, incarnation, mark, top, strangers: refused.filter(({ seq }) => !known.includes(seq)) };
    });
  const totals = [...state.totals].map(([domain, byNode]) => [domain, [...byNode].sort()]).sort();
  const { position, lastSeq, fence } = state;
  const refused = [...state.refusedTotals].sort();
  return JSON.stringify({ lanes, totals, refused, position, lastSeq, fence });
}
