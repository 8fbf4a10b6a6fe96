import { expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

const COUNTER = "cim_events_processed_total";

it("1,000 events raise the counter by exactly 1,000, over a stop and a death of the coordinator", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  const count = (labels: Record<string, string> = {}) => fleet.metric(hub, COUNTER, labels);
  const seen: number[] = [];
  const become = async (wanted: number) =>
    await eventually(
      async () => {
        const now = await count();
        seen.push(now);
        if (now !== wanted) throw new Error(`it is ${now}`);
        return true;
      },
      { timeoutMs: 90_000, what: `${wanted} events counted` },
    );
  await fleet.write(one, 300, { domains: ["person", "orders"] });
  await become(300);
  // In good order: the marks are written first.
  await hub.finish("daemon");
  await fleet.write(two, 200);
  await hub.start("daemon");
  await become(500);
  // In the middle of the work: what the log has after the marks is counted again from the log.
  const writing = fleet.write(one, 400, { domains: ["person", "orders"] });
  await eventually(async () => (await count()) > 500, { everyMs: 1 });
  await hub.kill();
  await hub.start();
  await writing;
  await fleet.write(hub, 100);
  await become(1000);
  // It never said more than there was, and never went back but for the moment before the log was read.
  expect(Math.max(...seen)).toBe(1000);
  expect(await count({ node: "leaf1", domain: "person" })).toBe(350);
  expect(await count({ node: "leaf1", domain: "orders" })).toBe(350);
  expect(await count({ node: "leaf2", domain: "person" })).toBe(200);
  expect(await count({ node: "hub", domain: "person" })).toBe(100);
  const { log } = await fleet.settled();
  expect(log.messages.filter(({ origin }) => origin)).toHaveLength(1000);
  expect((await fleet.status()).log.events).toBe(1000);
});
