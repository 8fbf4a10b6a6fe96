import { expect, it } from "vitest";
import { Fleet } from "../support/fleet.ts";

/** Stores of a leaf that are put back from an older copy, or are gone. Never silently. */

it("goes on as a new incarnation when a leaf's store is put back, its link up or down meanwhile", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 50);
  await fleet.settled();
  await leaf.kill();
  const older = await fleet.snapshot(leaf);
  await leaf.start();
  await fleet.write(leaf, 30);
  await fleet.settled();
  await leaf.kill();
  await fleet.restore(leaf, older);
  // Written before the hub can say anything: these take sequences that the log has other events of.
  await fleet.lab.link("leaf1").set({ state: "down" });
  await leaf.start();
  await fleet.write(leaf, 40);
  await fleet.lab.link("leaf1").set({ state: "up" });
  const { log } = await fleet.settled();
  expect(incarnations(log.messages, "leaf1")).toEqual([
    [1, 1, 80],
    [2, 51, 90],
  ]);
  expect(await fleet.told("outbox-rolled-back", "leaf1")).toMatchObject({
    detail: expect.stringContaining("after event 50"),
  });
  // And again, to before the first time: the log has two incarnations to compare with.
  await leaf.kill();
  await fleet.restore(leaf, older);
  await leaf.start();
  await fleet.write(leaf, 10);
  const again = await fleet.settled();
  expect(incarnations(again.log.messages, "leaf1")).toEqual([
    [1, 1, 80],
    [2, 51, 90],
    [3, 51, 60],
  ]);
});

it("goes on as a new incarnation when the outbox alone is deleted under a running agent", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 60);
  await fleet.settled();
  await leaf.kill("nats");
  await fleet.deleteStream(leaf, "CIM_OUTBOX");
  await leaf.start("nats");
  await fleet.write(leaf, 70);
  const { log } = await fleet.settled();
  expect(incarnations(log.messages, "leaf1")).toEqual([
    [1, 1, 60],
    [2, 1, 70],
  ]);
  expect(await fleet.told("outbox-rolled-back", "leaf1")).toMatchObject({
    detail: expect.stringContaining("the outbox is a new one"),
  });
});

it("says so when acknowledged events were in the store that was replaced alone", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 20);
  await fleet.settled();
  await leaf.kill();
  const older = await fleet.snapshot(leaf, "CIM_OUTBOX");
  await leaf.start();
  await fleet.write(leaf, 10);
  await fleet.settled();
  await fleet.lab.link("leaf1").set({ state: "down" });
  const before = await fleet.ledger.entries();
  await fleet.write(leaf, 15);
  const lost = (await fleet.ledger.entries()).slice(before.length).map(({ id }) => id as string);
  await leaf.kill();
  await fleet.restore(leaf, older, "CIM_OUTBOX");
  await leaf.start();
  await fleet.lab.link("leaf1").set({ state: "up" });
  await fleet.write(leaf, 5);
  const { log } = await fleet.settled({ lost: new Set(lost) });
  expect(incarnations(log.messages, "leaf1")).toEqual([
    [1, 1, 30],
    [2, 21, 25],
  ]);
  await fleet.told("outbox-rolled-back", "leaf1");
});

/** Which sequences of which incarnations of a node the log has, as first and last. */
function incarnations(
  messages: readonly { origin: { node: string; incarnation: number; seq: number } | undefined }[],
  node: string,
): [number, number, number][] {
  const found = new Map<number, [number, number, number]>();
  for (const { origin } of messages) {
    if (origin?.node !== node) continue;
    const known = found.get(origin.incarnation);
    if (known) known[2] = origin.seq;
    else found.set(origin.incarnation, [origin.incarnation, origin.seq, origin.seq]);
  }
  return [...found.values()];
}
