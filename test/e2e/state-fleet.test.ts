import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { readStateCheckpoint } from "../../shared/follow/read-state.ts";
import { parseLogPosition } from "../../shared/protocol/reign.ts";
import { readStream } from "../support/checker-read.ts";
import { cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { purgeLog } from "../support/purge-log.ts";
import { allStates } from "../support/state-node.ts";

/** Every leaf keeps states, and each event counts: one that is missing or taken twice shows in the sum. */
const configure = (document: ConfigDocument): ConfigDocument => ({
  ...document,
  state: { enabled: true },
  contracts: { person: { resolver: "crdt", fields: { n: "counter" } } },
});

async function statesOf({ natsUrl }: LabNode) {
  const nc = await connect({ servers: natsUrl });
  try {
    const checkpoint = await readStateCheckpoint(nc);
    const states = [...(await allStates(nc))].map(([key, { value, events, log }]) => [
      key,
      value,
      events,
      log,
    ]);
    return {
      index: parseLogPosition(checkpoint?.log ?? undefined)?.index ?? 0,
      states: states.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
    };
  } finally {
    await nc.close();
  }
}

/** Waits until every node's states are those of the hub, of all that the log has. */
async function converged(fleet: Fleet, events: number) {
  return await eventually(
    async () => {
      const hub = await statesOf(fleet.hub);
      const counted = hub.states.reduce((sum, [, , count]) => sum + (count as number), 0);
      if (counted !== events) throw new Error(`the hub has ${counted} of ${events} events in its states`);
      for (const leaf of fleet.lab.leaves)
        expect((await statesOf(leaf)).states, leaf.name).toEqual(hub.states);
      return hub.states;
    },
    { timeoutMs: 120_000, everyMs: 200, what: "the same states everywhere" },
  );
}

it("a leaf that is late, one from nothing and one from an old backup have the hub's states, though the log's beginning is gone", async () => {
  await using fleet = await Fleet.start({ leaves: 2, configure });
  const { hub } = fleet;
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await Promise.all([fleet.write(hub, 20), fleet.write(one, 30), fleet.write(two, 20)]);
  await converged(fleet, 70);
  await two.kill();
  const backup = await fleet.snapshot(two);
  await two.start();
  await fleet.write(one, 40);
  await converged(fleet, 110);
  await Promise.all([one.kill(), two.kill()]);
  // Some time without events, and the marks are written; the reign that begins behind them lets the log go.
  await eventually(
    async () => {
      const { messages } = await readStream(hub.natsUrl, "CIM_EVENTS");
      return messages.at(-1)?.subject === "cim.events._cim.marks";
    },
    { everyMs: 100, what: "marks at the log's end" },
  );
  await hub.kill("daemon");
  await hub.start("daemon");
  await eventually(async () => (await fleet.status()).leads);
  let purged = 0;
  await eventually(
    async () => {
      purged += await purgeLog(hub);
      return purged > 100;
    },
    { everyMs: 100, what: "a purged log" },
  );
  await fleet.write(hub, 10);
  // One comes back with nothing, one with what it had long ago.
  await fleet.deleteStream(one, "CIM_EVENTS");
  await fleet.deleteStream(one, "KV_CIM_STATE");
  await fleet.restore(two, backup);
  await Promise.all([one.start(), two.start()]);
  await converged(fleet, 120);
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 10)));
  const states = await converged(fleet, 150);
  expect(states.length).toBe(10);
  // One that joins only now has nothing but the hub's states and the rest of the log.
  await fleet.lab.addLeaf("leaf3");
  await fleet.write(fleet.leaf("leaf3"), 10);
  await converged(fleet, 160);
  await askedByAnOperator(fleet);
});

/** A leaf may fold anew, as the hub has what its copy lacks; the hub has only its own states of that. */
async function askedByAnOperator(fleet: Fleet): Promise<void> {
  const where = ["--dir", fleet.lab.dir];
  const anew = await cim(["state", "rebuild", "--node", "leaf1", ...where]);
  expect(anew, anew.stderr).toMatchObject({ code: 0 });
  await converged(fleet, 160);
  const status = await cim(["state", "status", "--node", "leaf1", "--json", ...where]);
  expect(JSON.parse(status.stdout)).toMatchObject({
    node: "leaf1",
    stopped: null,
    rebuild: null,
    missingBefore: 0,
  });
  const refused = await cim(["state", "rebuild", ...where]);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(/^cim: hub: the log begins at \d+: /);
}
