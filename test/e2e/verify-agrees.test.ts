import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { Damage } from "../support/damage.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { purgeLog } from "../support/purge-log.ts";
import { pairOf, provenInSync, verify } from "../support/verified.ts";

/** Publishes as a program does that wants its answer at a subject of its choice. */
async function publish(node: LabNode, subject: string, reply?: string): Promise<void> {
  const nc = await connect({ servers: node.natsUrl });
  try {
    if (reply === undefined) await nc.request(subject, "{}", { timeout: 20_000 });
    else nc.publish(subject, "", { reply });
    await nc.flush();
  } finally {
    await nc.close();
  }
}

it("agrees over partial copies, refused events, foreign messages, restored outboxes and a purged log, and the scrub finds a flipped byte by itself", async () => {
  await using fleet = await Fleet.start({
    leaves: 2,
    configure: (document) => ({
      ...document,
      proof: { checkS: 1, scrubS: 1 },
      ...(document.node === "leaf1" && { sync: { domains: ["orders"] } }),
    }),
  });
  const { hub } = fleet;
  const [partial, whole] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  const domains = ["orders", "person"];
  for (const node of fleet.nodes) await fleet.write(node, 60, { domains });
  const first = await provenInSync(hub);
  const events = (node: string) => pairOf(first, node, "copy").compared?.events ?? 0;
  expect(events("leaf1")).toBeLessThan(events("leaf2"));
  expect(events("leaf1")).toBeGreaterThan(0);

  // No domain begins with _: the log refuses it, and has a record of that in its place.
  await publish(partial, "cim.events._none.Made");
  await fleet.write(partial, 10, { domains });
  await eventually(async () => (await fleet.status()).log.refused === 1);
  // The answer to a question is stored in the log, or in the copy, of whoever was asked.
  await publish(hub, "$JS.API.INFO", "cim.log.orders.o1.Made");
  await publish(whole, "$JS.API.INFO", "cim.log.orders.o1.Made");
  await fleet.told("log-foreign");
  await fleet.write(hub, 10, { domains });
  await provenInSync(hub, "--deep");

  const outbox = await (async () => {
    await whole.kill();
    return await fleet.snapshot(whole, "CIM_OUTBOX");
  })();
  await whole.start();
  await fleet.write(whole, 20, { domains });
  await provenInSync(hub);
  await whole.kill();
  await fleet.restore(whole, outbox, "CIM_OUTBOX");
  await whole.start();
  await fleet.write(whole, 15, { domains });
  await fleet.told("outbox-rolled-back", "leaf2");
  await provenInSync(hub, "--deep");

  // What was counted before the coordinator's end is kept; what the log lets go of is not missed.
  await hub.kill("daemon");
  await hub.start("daemon");
  await eventually(async () => (await purgeLog(hub)) > 0);
  await fleet.write(partial, 10, { domains });
  const purged = await provenInSync(hub, "--deep");
  expect(pairOf(purged, "leaf2", "copy").compared?.from).toBeGreaterThan(1);
  const orders = await verify(hub, "--domain", "orders");
  expect(orders.code).toBe(0);
  expect(pairOf(orders, "leaf1", "copy").compared?.events).toBe(
    pairOf(orders, "leaf2", "copy").compared?.events,
  );

  // Nobody reads it, and the server has it in memory: on the disk it is another one.
  const nc = await connect({ servers: partial.natsUrl });
  await nc.request("cim.events.orders.o9.Made", '{"text":"flipped"}', { timeout: 20_000 });
  await nc.close();
  await provenInSync(hub);
  await using damage = await Damage.on(whole);
  await damage.flipByte("CIM_EVENTS", '{"text":"flipped"}');
  await fleet.told("diverged");
  expect((await verify(hub)).code).toBe(1);
});
