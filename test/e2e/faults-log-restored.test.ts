import { join } from "node:path";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

/** Copies that are gone or older, and a log that is put back from before. Each is told of, and mended or stopped. */

it("refills a copy that was deleted, and one that was put back from before", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await fleet.write(one, 60);
  await fleet.settled();
  await two.kill();
  const older = await fleet.snapshot(two, "CIM_EVENTS");
  await two.start();
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 40)));
  await fleet.settled();
  await two.kill();
  await fleet.restore(two, older, "CIM_EVENTS");
  // The other's is deleted under its running agent.
  await one.kill("nats");
  await fleet.deleteStream(one, "CIM_EVENTS");
  await Promise.all([one.start("nats"), two.start()]);
  await fleet.write(two, 20);
  await fleet.settled();
  await fleet.told("copy-lost", "leaf1");
});

it("refills a log that was put back from before, from the outboxes", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 30)));
  await fleet.settled();
  await fleet.hub.kill();
  const older = await fleet.snapshot(fleet.hub, "CIM_EVENTS");
  await fleet.hub.start();
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 50)));
  const before = await fleet.settled();
  await fleet.hub.kill();
  await fleet.restore(fleet.hub, older, "CIM_EVENTS");
  await fleet.hub.start();
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 10)));
  const { log } = await fleet.settled();
  for (const leaf of ["leaf1", "leaf2"]) {
    await fleet.told("log-went-back", leaf);
    await fleet.told("copy-diverged", leaf);
  }
  expect(epochOf(log.messages.at(-1)?.log?.reign)).toBeGreaterThan(
    epochOf(before.log.messages.at(-1)?.log?.reign),
  );
  expect(new Set(log.messages.map(({ origin }) => origin?.incarnation ?? 1))).toEqual(new Set([1]));
});

it("refills it from the leaves' copies when their outboxes were trimmed", async () => {
  await using fleet = await Fleet.start({
    leaves: 2,
    configure: (document) => ({ ...document, outbox: { retentionFloorMs: 0 } }),
  });
  const leaves = fleet.lab.leaves;
  await Promise.all(leaves.map((node) => fleet.write(node, 40)));
  await fleet.settled();
  await fleet.hub.kill();
  const older = await fleet.snapshot(fleet.hub, "CIM_EVENTS");
  await fleet.hub.start();
  await Promise.all(leaves.map((node) => fleet.write(node, 60)));
  await fleet.settled();
  await Promise.all(leaves.map((leaf) => trimmed(leaf)));
  await fleet.hub.kill();
  await fleet.restore(fleet.hub, older, "CIM_EVENTS");
  await fleet.hub.start();
  await Promise.all(leaves.map((node) => fleet.write(node, 10)));
  await fleet.settled();
  for (const { name } of leaves) await fleet.told("log-went-back", name);
});

it("sets aside what leaves had of the hub's own events when its whole store is put back from before", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  await fleet.write(hub, 20);
  await fleet.settled();
  await hub.kill();
  const older = await fleet.snapshot(hub);
  await hub.start();
  const before = (await fleet.ledger.entries()).length;
  await fleet.write(hub, 15);
  const lost = (await fleet.ledger.entries()).slice(before).map(({ id }) => id as string);
  await fleet.write(fleet.leaf("leaf1"), 15);
  await fleet.settled();
  await hub.kill();
  await fleet.restore(hub, older);
  await hub.start();
  await fleet.write(hub, 5);
  await fleet.settled({ lost: new Set(lost) });
  for (const leaf of fleet.lab.leaves) {
    await fleet.told("copy-diverged", leaf.name);
    const kept = await readStream(leaf.natsUrl, "CIM_REFUSED");
    // Beside them what leaf1 shipped again: the others can not know that it would.
    expect(kept.messages.map(({ id }) => id)).toEqual(expect.arrayContaining(lost));
    for (const { subject } of kept.messages) expect(subject).toMatch(/^cim\.refused\.not-in-log\./);
  }
});

it("stops at events that nobody has any more, names them, and goes on when an operator accepts it", async () => {
  await using fleet = await Fleet.start({
    leaves: 1,
    // No copy, and an outbox that keeps nothing longer than it must.
    configure: (document) => ({
      ...document,
      outbox: { retentionFloorMs: 0 },
      ...(document.role === "leaf" && { sync: { enabled: false } }),
    }),
  });
  const copies = { leaf1: null };
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 20);
  await fleet.settled({ copies });
  await fleet.hub.kill();
  const older = await fleet.snapshot(fleet.hub, "CIM_EVENTS");
  await fleet.hub.start();
  await fleet.write(leaf, 30);
  await fleet.settled({ copies });
  const { first } = await trimmed(leaf);
  const lost = (await fleet.ledger.entries()).filter(({ seq }) => seq > 20 && seq < first);
  expect(lost.length).toBeGreaterThan(0);
  await fleet.hub.kill();
  await fleet.restore(fleet.hub, older, "CIM_EVENTS");
  await fleet.hub.start();
  const { detail } = await fleet.told("log-hole", "leaf1");
  expect(detail).toContain(`up to 20, the outbox begins at ${first}`);
  // Writers go on meanwhile, and nothing goes past the hole by itself.
  await fleet.write(leaf, 10);
  expect(await acceptHole(fleet, "leaf1", 20, first - 1)).toEqual({ accepted: false });
  expect((await fleet.status()).log.events).toBe(20);
  expect(await acceptHole(fleet, "leaf1", 20, first)).toEqual({ accepted: true });
  const { log } = await fleet.settled({ copies, lost: new Set(lost.map(({ id }) => id as string)) });
  expect(log.messages.filter(({ subject }) => subject === "cim.events._cim.hole")).toHaveLength(1);
  await eventually(async () => !(await fleet.conditionsOf(leaf)).includes("log-hole"));
});

/** Waits until an outbox holds nothing that it need not hold. */
async function trimmed(leaf: LabNode): Promise<{ first: number; last: number }> {
  return await eventually(
    async () => {
      const { firstSeq: first, lastSeq: last } = await readStream(leaf.natsUrl, "CIM_OUTBOX");
      return first === last && { first, last };
    },
    { timeoutMs: 90_000, everyMs: 100, what: `${leaf.name}'s outbox trimmed` },
  );
}

async function acceptHole(fleet: Fleet, leaf: string, after: number, before: number): Promise<unknown> {
  const { hub } = fleet;
  const nc = await connectNats({
    url: hub.natsUrl,
    seedFile: join(hub.paths.data, "agent.nk"),
    name: "test operator",
    inboxPrefix: inboxPrefix("hub"),
  });
  try {
    const request = JSON.stringify({ after, before });
    const reply = `cim.node.${leaf}.reply.test`;
    const answer = new Promise((resolve, reject) => {
      nc.subscribe(reply, {
        max: 1,
        callback: (error, message) => (error ? reject(error) : resolve(message.json())),
      });
    });
    nc.publish(`cim.node.${leaf}.control.accept-hole`, request, { reply });
    return await answer;
  } finally {
    await nc.close();
  }
}

function epochOf(reign: string | undefined): number {
  return Number(reign?.split("-")[0]);
}
