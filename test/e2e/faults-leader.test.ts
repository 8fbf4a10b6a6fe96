import { expect, it } from "vitest";
import { readEnd } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { SecondCoordinator } from "../support/fleet-coordinator.ts";
import { Load } from "../support/load.ts";

/** Two coordinators on one hub. */

interface Coordinator {
  readonly httpUrl: string;
  stop(): Promise<void>;
  cont(): Promise<void>;
}

async function leads({ httpUrl }: { readonly httpUrl: string }): Promise<boolean> {
  const reply = await fetch(`${httpUrl}/api/v1/status`, { signal: AbortSignal.timeout(2000) });
  return ((await reply.json()) as { leads: boolean }).leads;
}

async function writers(fleet: Fleet): Promise<Load[]> {
  const loads = fleet.nodes.map((node) => new Load(node, { ledger: fleet.ledger, ratePerS: 200 }));
  await Promise.all(loads.map((load) => load.start()));
  for (const load of loads) fleet.use(load);
  return loads;
}

/** Waits until the log has so many entries more, whoever writes it. */
async function logGrows(fleet: Fleet, by: number): Promise<void> {
  const index = async () => (await readEnd(fleet.hub.natsUrl, "CIM_EVENTS")).index;
  const before = await eventually(index);
  await eventually(async () => (await index()) >= before + by, { everyMs: 50, what: "a growing log" });
}

it("one leads, and a leader that was paused past its lease comes back and neither doubles nor loses", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  const second = await SecondCoordinator.start(fleet);
  const both: Coordinator[] = [
    { httpUrl: hub.httpUrl, stop: () => hub.stop("daemon"), cont: () => hub.cont("daemon") },
    { httpUrl: second.httpUrl, stop: () => second.process.stop(), cont: () => second.process.cont() },
  ];
  // Where the machine stood still for longer than a lease, it is not the first any more.
  const leader = async () => {
    const leading = await Promise.all(both.map(leads));
    return leading.filter(Boolean).length === 1 && both[leading.indexOf(true)];
  };
  const one = await eventually(leader, { what: "one leader" });
  const other = both.find((coordinator) => coordinator !== one) as Coordinator;
  const loads = await writers(fleet);
  await logGrows(fleet, 200);
  await one.stop();
  await eventually(() => leads(other), { what: "the other coordinator's lead" });
  await logGrows(fleet, 200);
  await one.cont();
  await logGrows(fleet, 200);
  // And the other way round, in the middle of whatever the first has still to say.
  await other.stop();
  await eventually(() => leads(one), { what: "the first coordinator's lead" });
  await other.cont();
  await logGrows(fleet, 200);
  await eventually(leader, { what: "one leader" });
  await Promise.all(loads.map((load) => load.stop()));
  const { log } = await fleet.settled();
  const epochs = log.messages.map(({ log: position }) => Number(position?.reign.split("-")[0]));
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBeGreaterThanOrEqual(3);
  await eventually(async () => (await fleet.conditionsOf(hub)).length === 0, { what: "a quiet hub" });
});

it("the other leads soon after the leader is killed", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const second = await SecondCoordinator.start(fleet);
  const loads = await writers(fleet);
  await logGrows(fleet, 100);
  const killedMs = performance.now();
  await fleet.hub.kill("daemon");
  await eventually(() => leads(second), { what: "the second coordinator's lead" });
  const tookMs = performance.now() - killedMs;
  console.log(`the other led ${Math.round(tookMs)} ms after kill -9 of the leader`);
  await logGrows(fleet, 100);
  await Promise.all(loads.map((load) => load.stop()));
  await fleet.settled();
});
