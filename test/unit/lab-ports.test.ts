import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { choosePorts } from "../../lab/ports.ts";

const host = "127.0.0.1";

it("gives wished ports that are free, others where they are taken, and none twice", async () => {
  const [free, taken] = (await choosePorts([undefined, undefined], host)) as [number, number];
  const holder = createServer().listen(taken, host);
  await once(holder, "listening");
  try {
    // Every random choice begins with the port that is wished last: it must not be given away before.
    const ports = await choosePorts(
      [undefined, taken, free, free],
      host,
      firstThen((free - 10_000) / 22_768),
    );
    expect(ports[2]).toBe(free);
    expect(ports[1]).not.toBe(taken);
    expect(new Set(ports).size).toBe(4);
  } finally {
    holder.close();
  }
});

it("stays below the ports that the OS gives to outgoing connections", async () => {
  const ports = await choosePorts(Array.from({ length: 50 }), host);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(10_000);
  expect(Math.max(...ports)).toBeLessThan(32_768);
});

function firstThen(first: number): () => number {
  let calls = 0;
  return () => (calls++ === 0 ? first : Math.random());
}
