import fc from "fast-check";
import { expect, test } from "vitest";
import {
  Backoff,
  backoffMs,
  LOOPBACK_POLICY,
  policyFor,
  REMOTE_POLICY,
} from "../../shared/nats/reconnect-policy.ts";

test("waits double from 50 ms to the cap, half fixed and half random", () => {
  const waits = (random: number) => [0, 1, 2, 3, 4, 5, 6, 7].map((n) => backoffMs(n, REMOTE_POLICY, random));
  expect(waits(0)).toEqual([25, 50, 100, 200, 400, 800, 1000, 1000]);
  expect(waits(0.999)).toEqual([50, 100, 200, 400, 800, 1599, 1999, 1999]);
});

test("no wait is ever shorter than half the first or longer than the cap", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random) => {
        for (const policy of [REMOTE_POLICY, LOOPBACK_POLICY]) {
          const ms = backoffMs(attempt, policy, random);
          expect(ms).toBeGreaterThanOrEqual(policy.firstMs / 2);
          expect(ms).toBeLessThanOrEqual(policy.capMs);
        }
      },
    ),
  );
});

test("Backoff counts tries and begins again after a success", () => {
  const backoff = new Backoff(REMOTE_POLICY, () => 0);
  expect([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()]).toEqual([25, 50, 100]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(25);
});

test.each([
  ["nats://127.0.0.1:4222", LOOPBACK_POLICY],
  ["nats://user:pass@localhost:4222", LOOPBACK_POLICY],
  ["nats://[::1]:4222", LOOPBACK_POLICY],
  ["127.3.4.5:4222", LOOPBACK_POLICY],
  ["nats://10.0.0.1:4222", REMOTE_POLICY],
  ["nats://127.0.0.1.example.org", REMOTE_POLICY],
  ["hub.example.org:4222", REMOTE_POLICY],
])("%s", (url, policy) => {
  expect(policyFor(url)).toBe(policy);
});
