import { expect, it } from "vitest";
import { Fleet } from "../support/fleet.ts";

const DAY_MS = 86_400_000;

/**
 * What a publisher says of the time. The server's own clock, by which it stamps what it stores, can't be set back here
 * without setting back the machine's; that is left to the simulation.
 */
const clock = (offsetMs: number) => (n: number) => ({ "Cim-Clock": `${Date.now() + offsetMs}.${n}` });

it("has everything of a leaf that was offline while its hub was away, restarted twice, its writers' clocks set back", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  const [leaf, other] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await fleet.write(leaf, 20, { headersOf: clock(0) });
  await fleet.settled();
  await fleet.lab.link("leaf1").set({ state: "down" });
  await fleet.write(leaf, 40, { headersOf: clock(0) });
  await hub.kill();
  await fleet.write(leaf, 40, { headersOf: clock(-DAY_MS) });
  // The leaf dies twice meanwhile: once as a whole, once its agent alone.
  await leaf.kill();
  await leaf.start();
  await fleet.write(leaf, 40, { headersOf: clock(-2 * DAY_MS) });
  await hub.start();
  await fleet.write(other, 30);
  await hub.kill();
  await leaf.kill("daemon");
  await fleet.write(leaf, 40, { headersOf: clock(DAY_MS) });
  await leaf.start("daemon");
  await hub.start();
  await fleet.write(hub, 30);
  await fleet.lab.link("leaf1").set({ state: "up" });
  await fleet.write(leaf, 20, { headersOf: clock(-3 * DAY_MS) });
  const { log } = await fleet.settled();
  const own = log.messages.filter(({ origin }) => origin?.node === "leaf1");
  expect(own.map(({ origin }) => origin?.seq)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  // The clocks are carried as they were given: they go back, the order does not.
  const clocks = own.map(({ headers }) => Number(headers.get("Cim-Clock")?.split(".")[0]));
  expect(Math.max(...clocks) - Math.min(...clocks)).toBeGreaterThan(3 * DAY_MS);
});
