import { join } from "node:path";
import { expect, test } from "vitest";
import { connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { SlowSync } from "../support/fleet-slow-sync.ts";
import { startNatsServer } from "../support/nats-server.ts";

const EVENTS = 500;
const event = { domain: "person", aggregate: "ada", type: "Noted" };

test("on a disk that syncs slowly callers share syncs, and who gave up can find out", async (context) => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await nc.close();
  await using patient = await connectCim({ url: server.url, timeoutMs: 60_000 });
  await using hasty = await connectCim({ url: server.url, timeoutMs: 1_000 });
  const slow = (delayMs: number) => SlowSync.of(server.pid, delayMs, join(server.dir, `syncs-${delayMs}`));
  {
    await using syncs = await slow(200);
    if (!syncs) return context.skip("strace is missing, or may not be used");
    const appends = Array.from({ length: EVENTS }, (_, n) => patient.append({ ...event, id: `e${n}` }));
    const stored = await Promise.all(appends);
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: EVENTS }, (_, n) => n + 1));
    // One by one each event would be one.
    const { length } = await syncs.syncs();
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(EVENTS / 4);
  }
  {
    await using _ = await slow(3_000);
    await expect(hasty.append({ ...event, id: "hasty" })).rejects.toMatchObject({
      name: "StoreUnavailable",
      outcome: "unknown",
      eventIds: ["hasty"],
      message: expect.stringMatching(/no answer within 1000 ms/),
    });
    // Behind it at the same server: once this one is stored, that one is.
    expect(await patient.append({ ...event, id: "after" })).toMatchObject({ seq: EVENTS + 2 });
  }
  expect(await patient.find("hasty", event)).toEqual({ found: true, node: "test", seq: EVENTS + 1 });
  expect(await hasty.append({ ...event, id: "hasty" })).toMatchObject({ seq: EVENTS + 1, duplicate: true });
});
