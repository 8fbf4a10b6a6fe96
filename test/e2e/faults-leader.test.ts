import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { SecondCoordinator } from "../support/fleet-coordinator.ts";
import { Load } from "../support/load.ts";

/** Two coordinators on one hub. */

async function leads(coordinator: { readonly httpUrl: string }): Promise<boolean> {
  const reply = await fetch(`${coordinator.httpUrl}/api/v1/status`, { signal: AbortSignal.timeout(1000) });
  return ((await reply.json()) as { leads: boolean }).leads;
}

async function writers(fleet: Fleet): Promise<Load[]> {
  const loads = fleet.nodes.map((node) => new Load(node, { ledger: fleet.ledger, ratePerS: 200 }));
  await Promise.all(loads.map((load) => load.start()));
  for (const load of loads) fleet.use(load);
  return loads;
}

/** Waits until the log has taken so many events more. */
async function logGrows(from: { readonly httpUrl: string }, by: number): Promise<void> {
  const events = async () => {
    const reply = await fetch(`${from.httpUrl}/api/v1/status`, { signal: AbortSignal.timeout(1000) });
    return ((await reply.json()) as { log: { events: number } }).log.events;
  };
  const before = await events();
  await eventually(async () => (await events()) >= before + by, { timeoutMs: 20_000, what: "a growing log" });
}

it("one leads, and a leader that was paused past its lease comes back and neither doubles nor loses", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  const second = await SecondCoordinator.start(fleet);
  expect([await leads(hub), await leads(second)]).toEqual([true, false]);
  const loads = await writers(fleet);
  await logGrows(hub, 200);
  await hub.stop("daemon");
  await eventually(() => leads(second), { timeoutMs: 20_000, what: "the second coordinator's lead" });
  await logGrows(second, 200);
  await hub.cont("daemon");
  await logGrows(second, 200);
  // And the other way round, in the middle of whatever the first has still to say.
  await second.process.stop();
  await eventually(() => leads(hub), { timeoutMs: 20_000, what: "the first coordinator's lead" });
  await second.process.cont();
  await logGrows(hub, 200);
  await eventually(async () => !(await leads(second)), { what: "one leader" });
  expect(await leads(hub)).toBe(true);
  await Promise.all(loads.map((load) => load.stop()));
  const { log } = await fleet.settled();
  const epochs = log.messages.map(({ log: position }) => Number(position?.reign.split("-")[0]));
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(await fleet.conditionsOf(hub)).toEqual([]);
});

it("the other leads soon after the leader is killed", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const second = await SecondCoordinator.start(fleet);
  const loads = await writers(fleet);
  await logGrows(fleet.hub, 100);
  const killedMs = performance.now();
  await fleet.hub.kill("daemon");
  await eventually(() => leads(second), { timeoutMs: 10_000, what: "the second coordinator's lead" });
  const tookMs = performance.now() - killedMs;
  console.log(`the other led ${Math.round(tookMs)} ms after kill -9 of the leader`);
  await logGrows(second, 100);
  await Promise.all(loads.map((load) => load.stop()));
  await fleet.settled();
});
