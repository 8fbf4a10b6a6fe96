import { expect, it } from "vitest";
import { KeptLimits } from "../../shared/client/kept-limits.ts";

const limitsOf = (eventBytes: number) => ({ eventBytes, node: "leaf1" });
const settled = () => new Promise((resolve) => setImmediate(resolve));

it("limits are read again while events are appended, and nobody waits for it", async () => {
  let nowMs = 0;
  const readings: PromiseWithResolvers<ReturnType<typeof limitsOf>>[] = [];
  const limits = new KeptLimits(
    limitsOf(1),
    () => {
      const reading = Promise.withResolvers<ReturnType<typeof limitsOf>>();
      readings.push(reading);
      return reading.promise;
    },
    () => nowMs,
  );
  expect(limits.latest.eventBytes).toBe(1);
  expect(readings).toHaveLength(0);
  nowMs = 60_000;
  expect(limits.latest.eventBytes).toBe(1);
  expect(limits.latest.eventBytes).toBe(1);
  expect(readings).toHaveLength(1);
  readings[0]?.resolve(limitsOf(2));
  await settled();
  expect(limits.latest.eventBytes).toBe(2);
  expect(readings).toHaveLength(1);
});

it("what can't be read again stays as it was, and is tried later", async () => {
  let nowMs = 0;
  let readings = 0;
  const read = async () => {
    readings++;
    throw new Error("the store is away");
  };
  const limits = new KeptLimits(limitsOf(1), read, () => nowMs);
  for (nowMs of [60_000, 120_000]) {
    expect(limits.latest.eventBytes).toBe(1);
    await settled();
  }
  expect(limits.latest.eventBytes).toBe(1);
  expect(readings).toBe(2);
});
