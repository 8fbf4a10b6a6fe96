import { join } from "node:path";
import { expect, test } from "vitest";
import { Lab } from "../../lab/lab.ts";
import { connectCim, StoreUnavailable } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { smallDisk } from "../support/small-disk.ts";
import { tempDir } from "../support/temp-dir.ts";

const MiB = 1024 * 1024;

test("a full disk is an error with that reason, and loses nothing", async ({ skip }) => {
  const disk = await smallDisk(24 * MiB);
  if (!disk) return skip("mounting is not allowed here");
  await using _disk = disk;
  await using dir = await tempDir();
  await using lab = await Lab.up({
    dir: join(dir.path, "lab"),
    leaves: 1,
    configure: (document) =>
      document.node === "leaf1"
        ? { ...document, nats: { ...(document.nats as object), storeDir: join(disk.path, "nats") } }
        : document,
  });
  const leaf = lab.leaf("leaf1");
  await using cim = await connectCim({ url: leaf.document.nats });
  const acknowledged = new Set<string>();
  const event = { domain: "person", aggregate: "ada", type: "PersonNoted", data: "x".repeat(50_000) };
  const isFull = {
    name: "StoreUnavailable",
    message: expect.stringMatching(/^the store of leaf1 is not available: [^\n]* disk [^\n]* is full/),
    conditions: expect.arrayContaining([expect.objectContaining({ code: "disk-full" })]),
  };
  // A slow machine's appends may fail before the disk is full, or before its agent has seen that it is.
  const deadlineMs = performance.now() + 120_000;
  const fillUp = async () => {
    for (;;) {
      try {
        acknowledged.add((await cim.append(event)).id);
      } catch (error) {
        const isNamed = error instanceof StoreUnavailable && error.conditions.length > 0;
        if (isNamed || performance.now() > deadlineMs) throw error;
      }
    }
  };
  await expect(fillUp()).rejects.toMatchObject(isFull);
  await expect(cim.append(event)).rejects.toMatchObject({ name: "StoreUnavailable" });
  expect(acknowledged.size).toBeGreaterThan(50);

  await disk.grow(64 * MiB);
  await leaf.kill("nats");
  await leaf.start("nats");
  await eventually(async () => acknowledged.add((await cim.append(event)).id), { timeoutMs: 90_000 });
  const nc = await connectNats({ url: lab.hub.document.nats, name: "test" });
  try {
    await using reader = await new StreamReader({
      nc,
      stream: STREAM.events,
      startSeq: 1,
      filters: ["cim.events.person.>"],
    }).start();
    const inLog = new Set<string>();
    const missing = () => [...acknowledged].filter((id) => !inLog.has(id));
    const read = async () => {
      while (missing().length > 0) {
        for (const { headerText } of await reader.next()) inLog.add(headerValue(headerText, HEADER.id) ?? "");
      }
    };
    const timer = setTimeout(
      () => reader.break(`${missing().length} acknowledged events are not in the log`),
      120_000,
    );
    await read();
    clearTimeout(timer);
  } finally {
    await nc.close();
  }
});
