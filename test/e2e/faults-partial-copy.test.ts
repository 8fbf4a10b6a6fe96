import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

/** A log put back from before, under leaves whose copies follow some domains only, and outboxes that were trimmed. */

const BOTH = ["person", "orders"];

/** `domains` may change later: `reconfigure` with the same function then takes it over. */
function following(domains: () => readonly string[]) {
  return (document: ConfigDocument): ConfigDocument => ({
    ...document,
    outbox: { retentionFloorMs: 0 },
    ...(document.role === "leaf" && { sync: { domains: [...domains()] } }),
  });
}

it("trims the outbox of a leaf that does not follow what it writes", async () => {
  await using fleet = await Fleet.start({ leaves: 1, configure: following(() => ["orders"]) });
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 30, { domains: ["person"] });
  await fleet.settled({ copies: { leaf1: { domains: ["orders"] } } });
  await trimmed(leaf);
});

it("names the hole that a copy of some domains leaves, and ships nothing past it by itself", async () => {
  await using fleet = await Fleet.start({ leaves: 1, configure: following(() => ["person"]) });
  const leaf = fleet.leaf("leaf1");
  const copies = { leaf1: { domains: ["person"] } };
  await fleet.write(leaf, 30, { domains: BOTH });
  await fleet.settled({ copies });
  const older = await snapshotOfLog(fleet);
  await fleet.write(leaf, 40, { domains: BOTH });
  await fleet.settled({ copies });
  const first = await trimmed(leaf);
  await restoreLog(fleet, older);
  const { detail } = await fleet.told("log-hole", "leaf1");
  expect(detail).toContain(`up to 30, the outbox begins at ${first}`);
  expect((await fleet.status()).log.events).toBe(30);
});

it("refills the log in order from a copy that a domain was filled into behind younger events", async () => {
  let domains: readonly string[] = ["person"];
  const configure = following(() => domains);
  await using fleet = await Fleet.start({ leaves: 1, configure });
  const leaf = fleet.leaf("leaf1");
  await fleet.write(leaf, 10, { domains: BOTH });
  await fleet.settled({ copies: { leaf1: { domains } } });
  const older = await snapshotOfLog(fleet);
  await fleet.write(leaf, 60, { domains: BOTH });
  await fleet.settled({ copies: { leaf1: { domains } } });
  domains = BOTH;
  await fleet.lab.reconfigure({ configure });
  const copies = { leaf1: { domains, filledIn: true } };
  await fleet.settled({ copies });
  await trimmed(leaf);
  await restoreLog(fleet, older);
  await fleet.told("log-went-back", "leaf1");
  await fleet.settled({ copies });
  expect(await fleet.conditionsOf(leaf)).not.toContain("log-hole");
});

async function snapshotOfLog(fleet: Fleet) {
  await fleet.hub.kill();
  const snapshot = await fleet.snapshot(fleet.hub, "CIM_EVENTS");
  await fleet.hub.start();
  return snapshot;
}

async function restoreLog(fleet: Fleet, snapshot: Awaited<ReturnType<typeof snapshotOfLog>>): Promise<void> {
  await fleet.hub.kill();
  await fleet.restore(fleet.hub, snapshot, "CIM_EVENTS");
  await fleet.hub.start();
}

/** Waits until an outbox holds nothing that it need not hold; gives its first sequence. */
async function trimmed(leaf: LabNode): Promise<number> {
  return await eventually(
    async () => {
      const { firstSeq, lastSeq } = await readStream(leaf.natsUrl, "CIM_OUTBOX");
      return firstSeq === lastSeq && firstSeq;
    },
    { timeoutMs: 90_000, everyMs: 100, what: `${leaf.name}'s outbox trimmed` },
  );
}
