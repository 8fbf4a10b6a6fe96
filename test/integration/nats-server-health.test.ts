import { join } from "node:path";
import { expect, test } from "vitest";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { diskSpace, judgeHealth, serverHealth, storageUse } from "../../shared/nats/server-health.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";
import { smallDisk } from "../support/small-disk.ts";
import { withTempDir } from "../support/temp-dir.ts";

const MiB = 1024 * 1024;

test("healthy, with what it uses of what it may", async () => {
  await using fleet = await startNatsFleet({ leaves: [] });
  const sys = await fleet.connect("hub", "sys");
  const agent = await fleet.connect("hub", "agent");
  expect(await serverHealth(sys)).toEqual({ kind: "healthy" });
  await ensureStream(agent, outboxStream({ maxBytes: 64 * MiB, maxPayload: 8 * MiB }));
  await agent.request("cim.events.a.B", "x".repeat(10_000), { timeout: 20_000 });
  const use = await storageUse(sys);
  expect(use).toMatchObject({
    fileLimitBytes: 1024 * MiB,
    memoryLimitBytes: 64 * MiB,
    streams: 1,
    messages: 1,
  });
  expect(use.fileBytes).toBeGreaterThan(10_000);
});

test("a server that is gone is unreachable, and healthy again when it is back", async () => {
  await using fleet = await startNatsFleet({ leaves: [] });
  const sys = await fleet.connect("hub", "sys");
  fleet.hub.pause();
  expect((await serverHealth(sys, 200)).kind).toBe("unreachable");
  fleet.hub.resume();
  await fleet.hub.kill();
  expect((await serverHealth(sys, 200)).kind).toBe("unreachable");
  await fleet.hub.restart();
  await eventually(async () => (await serverHealth(sys, 2_000)).kind === "healthy");
});

test("a full disk is named; every acknowledged event is there after space and a restart", async (context) => {
  await using disk = await smallDisk(24 * MiB);
  if (!disk) return context.skip("mounting is not allowed here");
  await using fleet = await startNatsFleet({
    leaves: [],
    configure: (config) => ({ ...config, nats: { ...config.nats, storeDir: join(disk.path, "nats") } }),
  });
  const sys = await fleet.connect("hub", "sys");
  const agent = await fleet.connect("hub", "agent");
  await ensureStream(agent, outboxStream({ maxBytes: 512 * MiB, maxPayload: 8 * MiB }));
  let acknowledged = 0;
  const body = "x".repeat(200_000);
  while (acknowledged < 1_000) {
    // No answer at all is what a full disk looks like to a writer, and one that is slow.
    const answer = await agent.request("cim.events.a.B", body, { timeout: 1_000 }).catch(() => undefined);
    if (!answer) {
      if ((await serverHealth(sys)).kind === "disk-full") break;
      continue;
    }
    acknowledged = answer.json<{ seq: number }>().seq;
  }
  expect(acknowledged).toBeGreaterThan(50);
  const health = await serverHealth(sys);
  expect(health).toMatchObject({ kind: "disk-full", detail: expect.stringContaining("CIM_OUTBOX") });
  expect((await diskSpace(disk.path)).freeBytes).toBeLessThan(MiB);

  await disk.grow(64 * MiB);
  await fleet.hub.restart();
  await eventually(async () => (await serverHealth(sys)).kind === "healthy");
  const { state } = await eventually(() =>
    jetStreamApi<{ state: { messages: number; last_seq: number } }>(
      agent,
      "STREAM.INFO.CIM_OUTBOX",
      undefined,
    ),
  );
  expect(state.messages).toBeGreaterThanOrEqual(acknowledged);
  expect(
    (await agent.request("cim.events.a.B", body, { timeout: 20_000 })).json<{ seq: number }>().seq,
  ).toBeGreaterThan(acknowledged);
});

test("disk space is what df says for that folder", async () => {
  await withTempDir(async (dir) => {
    const { freeBytes, totalBytes } = await diskSpace(dir);
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  });
});

test.each([
  [{ status: "ok" }, "healthy"],
  [
    {
      status: "unavailable",
      error: "JetStream stream 'CIM > X' write error: write a.blk: no space left on device",
    },
    "disk-full",
  ],
  [{ status: "unavailable", error: "write a.blk: disk quota exceeded" }, "disk-full"],
  [{ status: "unavailable", error: "JetStream has not established contact with a meta leader" }, "unhealthy"],
  [{ status: "error" }, "unhealthy"],
])("%j is %s", (healthz, kind) => {
  expect(judgeHealth(healthz).kind).toBe(kind);
});
