import { join } from "node:path";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectCim, OutboxFull, StoreUnavailable } from "../../shared/client/connect-cim.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { Load } from "../support/load.ts";
import { smallDisk } from "../support/small-disk.ts";

/** Full outboxes and full disks: told to the writer by name, nothing acknowledged is lost. */

const MiB = 1024 * 1024;
const event = { domain: "person", aggregate: "late", type: "Changed", data: "x".repeat(60_000) };

async function failing(node: LabNode): Promise<string[]> {
  const reply = await fetch(`${node.httpUrl}/readyz`, { signal: AbortSignal.timeout(20_000) });
  const { failing } = (await reply.json()) as { failing: { code: string }[] };
  return failing.map(({ code }) => code);
}

it("a full outbox is told to the writer at once, and takes events again when the hub took some", async () => {
  await using fleet = await Fleet.start({
    leaves: 1,
    configure: (document) => ({ ...document, outbox: { maxBytes: MiB, retentionFloorMs: 0 } }),
  });
  const leaf = fleet.leaf("leaf1");
  await fleet.lab.link("leaf1").set({ state: "down" });
  const load = fleet.use(
    await new Load(leaf, { ledger: fleet.ledger, count: 300, padding: 8000, window: 8 }).start(),
  );
  await eventually(() => load.refused.length > 0, { what: "a refusal" });
  // JetStream's own words: 10077 is "maximum bytes exceeded".
  expect(load.refused[0]).toMatchObject({ errCode: 10077 });
  await using cim = await connectCim({ url: leaf.natsUrl });
  await expect(cim.append(event)).rejects.toThrow(OutboxFull);
  await eventually(async () => (await failing(leaf)).includes("outbox-full"), { what: "the condition" });
  // What was acknowledged is there, and no more of it comes while nothing leaves.
  const stored = (await readStream(leaf.natsUrl, "CIM_OUTBOX")).messages.length;
  expect(stored).toBeGreaterThan(100);
  await eventually(() => load.acknowledged === stored, { what: "a writer that waits" });
  await fleet.lab.link("leaf1").set({ state: "up" });
  await load.finished();
  expect(load.acknowledged).toBe(300);
  await fleet.settled();
  await eventually(async () => (await failing(leaf)).length === 0, { what: "a leaf that is ready again" });
});

it("a full disk is told to the writer, and keeps what was acknowledged", async (context) => {
  await using disk = await smallDisk(24 * MiB);
  if (!disk) return context.skip("no tmpfs can be mounted here");
  const { path } = disk;
  await using fleet = await Fleet.start({
    leaves: 1,
    configure: (document) =>
      document.role === "leaf"
        ? { ...document, nats: { ...document.nats, storeDir: join(path, "nats") } }
        : document,
  });
  const leaf = fleet.leaf("leaf1");
  await using cim = await connectCim({ url: leaf.natsUrl, timeoutMs: 3000 });
  const load = fleet.use(await new Load(leaf, { ledger: fleet.ledger, padding: 60_000, window: 16 }).start());
  // Filled to the last byte: the server answers nobody any more.
  const why = await eventually(
    async () => {
      const before = load.acknowledged;
      const failed = await cim.append(event).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      // A slow machine's appends fail too, and its agent may not have seen yet why.
      const isNamed = failed instanceof StoreUnavailable && failed.conditions.length > 0;
      return load.acknowledged === before && isNamed ? failed : undefined;
    },
    { timeoutMs: 120_000, what: "an error for the writer" },
  );
  expect(why.conditions.map(({ code }) => code)).toContain("disk-full");
  expect(why.message).toMatch(/disk/);
  await eventually(async () => (await failing(leaf)).includes("disk-full"), { what: "the condition" });
  const startedMs = performance.now();
  await expect(cim.append(event)).rejects.toThrow(StoreUnavailable);
  console.log(
    `told after ${Math.round(performance.now() - startedMs)} ms, ${load.acknowledged} acknowledged`,
  );

  await disk.grow(512 * MiB);
  await leaf.kill("nats");
  await leaf.start();
  await load.stop();
  // What the client was not told of may be there or not.
  await fleet.settled({ unacknowledged: ({ subject }) => subject === "cim.events.person.late.Changed" });
  await eventually(async () => (await failing(leaf)).length === 0, { what: "a leaf that is ready again" });
});
