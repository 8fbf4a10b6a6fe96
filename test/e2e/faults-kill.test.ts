import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { Load } from "../support/load.ts";
import { chooseSeed, seededRandom } from "../support/load-seed.ts";

const parts = ["daemon", "nats", "both"] as const;

/** Every part of every node dies once, in an order and at moments that the seed decides. */
it("keeps every acknowledged event exactly once and in order while anything is killed at any moment", async () => {
  const seed = chooseSeed();
  const random = seededRandom(seed);
  console.log(`schedule: CIM_TEST_SEED=${seed}`);
  await using fleet = await Fleet.start({ leaves: 2 });
  const victims = ["hub", "leaf1"].flatMap((name) => parts.map((part) => ({ name, part })));
  const schedule = shuffle(victims, random);
  const loads = await Promise.all(
    fleet.nodes.map((node) =>
      new Load(node, { ledger: fleet.ledger, ratePerS: 150, domains: ["person", "orders"] }).start(),
    ),
  );
  for (const load of loads) fleet.use(load);
  for (const { name, part } of schedule) {
    const node = fleet.lab.node(name);
    await sleep(200 + random() * 500);
    console.log(`kill -9 ${part} of ${name}, ${loads.map(({ acknowledged }) => acknowledged)} acknowledged`);
    await node.kill(part);
    await sleep(random() * 400);
    await node.start();
  }
  await Promise.all(loads.map((load) => load.stop()));
  const { log } = await fleet.settled();
  const written = loads.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  expect(log.messages.filter(({ origin }) => origin)).toHaveLength(written);
  expect(written).toBeGreaterThan(200);
  // Nobody took a kill for a restored outbox: every origin is still what it was.
  expect(new Set(log.messages.map(({ origin }) => origin?.incarnation ?? 1))).toEqual(new Set([1]));
  for (const node of fleet.nodes) await expectQuiet(fleet, node);
});

/** A link that is cut and mended, hub and leaf dying together: the whole site loses its power. */
it("survives the death of every process at once, twice", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const loads = await Promise.all(
    fleet.nodes.map((node) => new Load(node, { ledger: fleet.ledger, ratePerS: 300 }).start()),
  );
  for (const load of loads) fleet.use(load);
  for (let round = 1; round <= 2; round++) {
    const before = loads.map(({ acknowledged }) => acknowledged);
    while (loads.some(({ acknowledged }, i) => acknowledged < (before[i] as number) + 100)) await sleep(5);
    await Promise.all(fleet.nodes.map((node) => node.kill()));
    await Promise.all(fleet.nodes.map((node) => node.start()));
  }
  await Promise.all(loads.map((load) => load.stop()));
  await fleet.settled();
});

async function expectQuiet(fleet: Fleet, node: LabNode): Promise<void> {
  await eventually(
    async () => {
      const codes = (await fleet.conditionsOf(node)).filter((code) => code !== "disk-runway-short");
      if (codes.length > 0) throw new Error(codes.join(", "));
      return true;
    },
    { everyMs: 200, what: `${node.name} without conditions` },
  );
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}
