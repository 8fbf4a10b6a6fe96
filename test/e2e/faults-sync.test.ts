import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { SlowSync, type Sync } from "../support/fleet-slow-sync.ts";

/** Durable before visible, durable before acknowledged: shown by making the server's syncs slow. */

const DELAY_MS = 300;
let fleet: Fleet;

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 1 });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

/** When a reader of a node's stream was first given each of the events whose type is `type`. */
async function watch(node: LabNode, stream: string, type: string): Promise<number[]> {
  const nc = await open(connect({ servers: node.natsUrl }));
  const seen: number[] = [];
  const inbox = `_INBOX.watch.${type}`;
  nc.subscribe(inbox, { callback: () => void seen.push(Date.now()) });
  const config = {
    name: `watch-${type}`,
    deliver_subject: inbox,
    ack_policy: "none",
    deliver_policy: "all",
    filter_subject: `cim.events.person.a.${type}`,
    mem_storage: true,
    num_replicas: 1,
  };
  const reply = await nc.request(
    `$JS.API.CONSUMER.CREATE.${stream}.watch-${type}.cim.events.person.a.${type}`,
    JSON.stringify({ stream_name: stream, config }),
    { timeout: 20_000 },
  );
  expect(reply.json()).not.toHaveProperty("error");
  return seen;
}

/** When the leaf's uplink was told of something that the log took. */
async function watchUplink(leaf: LabNode): Promise<{ atMs: number; accepted: number }[]> {
  const seedFile = join(leaf.paths.data, "agent.nk");
  const nc = await open(connectNats({ url: leaf.natsUrl, seedFile, name: "test ear" }));
  const told: { atMs: number; accepted: number }[] = [];
  nc.subscribe("_INBOX.leaf1.>", {
    callback: (_, message) => {
      const text = message.string();
      if (!text.includes('"taken"')) return;
      told.push({ atMs: Date.now(), accepted: (JSON.parse(text) as { accepted: number }).accepted });
    },
  });
  await nc.flush();
  return told;
}

async function open(connecting: Promise<NatsConnection>): Promise<NatsConnection> {
  const nc = await connecting;
  fleet.use({ [Symbol.asyncDispose]: () => nc.close() });
  return nc;
}

/** Publishes events at once; gives when each was acknowledged. */
async function publish(nc: NatsConnection, type: string, count: number): Promise<number[]> {
  const one = async (n: number) => {
    await nc.request(`cim.events.person.a.${type}`, JSON.stringify({ n }), { timeout: 60_000 });
    return Date.now();
  };
  return await Promise.all(Array.from({ length: count }, (_, n) => one(n)));
}

/** Syncs of a stream's messages, begun after a moment. */
function syncsOf(syncs: readonly Sync[], stream: string, sinceMs: number): Sync[] {
  return syncs.filter(({ path, beganMs }) => path.includes(`/${stream}/msgs/`) && beganMs >= sinceMs);
}

it("nobody reads an event at the hub, and no uplink is told of it, before it is synced there", async (context) => {
  const { hub } = fleet;
  const leaf = fleet.leaf("leaf1");
  const writer = await open(connect({ servers: leaf.natsUrl }));
  const told = await watchUplink(leaf);
  for (const [type, count] of [
    ["Single", 1],
    ["Many", 60],
  ] as const) {
    const seen = await watch(hub, "CIM_EVENTS", type);
    await using slow = await SlowSync.of(hub.nats?.pid as number, DELAY_MS, join(fleet.dir, `hub-${type}`));
    if (!slow) return context.skip("strace is missing, or may not be used");
    const beganMs = Date.now();
    const before = told.at(-1)?.accepted ?? 0;
    // Told late of what was before, it says nothing of this.
    const toldOfThis = () => told.find(({ accepted }) => accepted > before);
    await publish(writer, type, count);
    await eventually(() => seen.length === count && toldOfThis(), { timeoutMs: 90_000 });
    const [sync] = await eventually(async () => {
      const syncs = syncsOf(await slow.syncs(), "CIM_EVENTS", beganMs);
      return syncs.length > 0 && syncs;
    });
    const syncedMs = sync?.endedMs ?? 0;
    expect(syncedMs - beganMs).toBeGreaterThanOrEqual(DELAY_MS);
    // Dates are whole milliseconds, rounded down.
    expect(seen[0]).toBeGreaterThanOrEqual(Math.floor(syncedMs));
    expect(toldOfThis()?.atMs).toBeGreaterThanOrEqual(Math.floor(syncedMs));
    console.log(
      `${type}: synced after ${Math.round(syncedMs - beganMs)} ms, read after ${(seen[0] ?? 0) - beganMs}, uplink told after ${(toldOfThis()?.atMs ?? 0) - beganMs}`,
    );
  }
});

it("no writer is acknowledged, and nobody reads an event on a leaf, before it is synced there", async (context) => {
  const leaf = fleet.leaf("leaf1");
  const writer = await open(connect({ servers: leaf.natsUrl }));
  for (const [type, count] of [
    ["Local", 1],
    ["LocalMany", 3],
  ] as const) {
    const seen = await watch(leaf, "CIM_OUTBOX", type);
    await using slow = await SlowSync.of(leaf.nats?.pid as number, DELAY_MS, join(fleet.dir, `leaf-${type}`));
    if (!slow) return context.skip("strace is missing, or may not be used");
    const beganMs = Date.now();
    const acknowledged = await publish(writer, type, count);
    await eventually(() => seen.length === count, { timeoutMs: 90_000 });
    const syncs = await eventually(async () => {
      const found = syncsOf(await slow.syncs(), "CIM_OUTBOX", beganMs);
      return found.length > 0 && found;
    });
    const syncedMs = syncs[0]?.endedMs ?? 0;
    expect(Math.min(...acknowledged)).toBeGreaterThanOrEqual(Math.floor(syncedMs));
    expect(seen[0]).toBeGreaterThanOrEqual(Math.floor(syncedMs));
    console.log(
      `${type}: synced after ${Math.round(syncedMs - beganMs)} ms, acknowledged after ${Math.min(...acknowledged) - beganMs}, read after ${(seen[0] ?? 0) - beganMs}`,
    );
  }
});
