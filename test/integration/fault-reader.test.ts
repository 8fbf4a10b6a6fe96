import { readFile } from "node:fs/promises";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import { PlainReader } from "../faults/reader.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { tempDir } from "../support/temp-dir.ts";

/** The client waits for ever for the rest of a batch; whoever reads for a fault run must not. */

const count = 800;
const goodBytes = 100_000;

/** A way to a server whose first `bad` connections bring so many bytes and then nothing, or end. */
async function wayThatFails(port: number, how: "silent" | "cut", bad: number) {
  let failed = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connectTcp(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => undefined).on("close", () => open.delete(socket));
    }
    client.pipe(upstream);
    client.on("close", () => upstream.destroy());
    let left = failed++ < bad ? goodBytes : Number.POSITIVE_INFINITY;
    upstream.on("data", (bytes) => {
      if (left <= 0) return;
      client.write(bytes.subarray(0, Math.min(left, bytes.length)));
      left -= bytes.length;
      if (left <= 0 && how === "cut") client.destroy();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port: own } = server.address() as { port: number };
  return {
    url: `nats://127.0.0.1:${own}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it.each(["silent", "cut"] as const)(
  "a reader whose server is %s in the middle of a batch goes on, each once",
  async (how) => {
    await using dir = await tempDir();
    await using server = await startNatsServer();
    const nc = await connect({ servers: server.url });
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({ name: "CIM_EVENTS", subjects: ["cim.events.>"], allow_direct: true });
    for (let n = 1; n <= count; n++) {
      const header = headers();
      header.set("Cim-Origin", `leaf1 1 0 ${n}`);
      header.set("Cim-Id", `e${n}`);
      nc.publish("cim.events.person.a.Changed", "x".repeat(1000), { headers: header });
    }
    await nc.flush();
    await eventually(async () => (await jsm.streams.info("CIM_EVENTS")).state.messages === count);
    await nc.close();
    await using way = await wayThatFails(server.port, how, 2);
    const path = join(dir.path, "reader.jsonl");
    await using reader = new PlainReader({ name: "leaf1", role: "leaf", natsUrl: way.url }, path, {
      silenceMs: 300,
    });
    await reader.start();
    await eventually(() => reader.handled >= count, { what: "all events handled" });
    await reader.stop();
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines).toEqual(Array.from({ length: count }, (_, n) => `["leaf1","e${n + 1}"]`));
  },
);

it("the checker's reading says that a batch does not go on", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: "CIM_EVENTS", subjects: ["cim.events.>"], allow_direct: true });
  for (let n = 1; n <= count; n++) nc.publish("cim.events.person.a.Changed", "x".repeat(1000));
  await nc.flush();
  await eventually(async () => (await jsm.streams.info("CIM_EVENTS")).state.messages === count);
  await nc.close();
  await using way = await wayThatFails(server.port, "silent", 1);
  await expect(readStream(way.url, "CIM_EVENTS", 300)).rejects.toThrow(/did not go on for 300 ms/);
});
