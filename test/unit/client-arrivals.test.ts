import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { Arrivals } from "../../shared/client/reader/arrivals.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

test("a stream that stays quiet keeps nothing of those who waited for it before", async () => {
  // Never started: nothing comes, and its connection is not used.
  const reader = new StreamReader({ nc: {} as NatsConnection, stream: "QUIET", startSeq: 1 });
  const quiet = new Arrivals(reader);
  let woken = 0;
  const wait = () => {
    const held = { woken: () => woken++ };
    quiet.whenHere(() => held.woken());
    return new WeakRef(held);
  };
  const waits = Array.from({ length: 100 }, wait);
  const kept = () => waits.filter((one) => one.deref() !== undefined).length;
  do {
    await sleep(1);
    collectGarbage();
  } while (kept() > 1);
  expect(woken).toBe(0);
  reader.break("the test is over");
  while (woken === 0) await sleep(1);
  expect(woken).toBe(1);
  expect(() => quiet.take()).toThrow("the test is over");
});
