import { expect, test } from "vitest";
import { type Appended, connectCim, VersionConflict } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { startNatsServer } from "../support/nats-server.ts";

const AGGREGATES = 100_000;
const EVERY = 100;

test("100,000 aggregates are written, decided on, and read back", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 512 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await nc.close();
  await using cim = await connectCim({ url: server.url, timeoutMs: 60_000 });
  const appends: Promise<Appended>[] = [];
  for (let n = 0; n < AGGREGATES; n++) {
    await cim.room();
    appends.push(cim.append({ domain: "person", aggregate: `p${n}`, type: "Made", data: { n } }));
  }
  const made = await Promise.all(appends);
  expect(made.at(-1)?.seq).toBe(AGGREGATES);

  const some = made.flatMap((appended, n) => (n % EVERY === 0 ? [{ appended, aggregate: `p${n}` }] : []));
  const decide = (on: typeof some, type: string) =>
    Promise.all(
      on.map(({ appended, aggregate }) =>
        cim
          .append({ domain: "person", aggregate, type, expect: appended, causedBy: appended })
          .catch((error: unknown) => error),
      ),
    );
  const moved = (await decide(some, "Moved")) as Appended[];
  expect(moved.map(({ seq }) => seq)).toEqual(some.map((_, at) => AGGREGATES + 1 + at));
  const late = await decide(some.slice(0, 100), "Late");
  expect(late).toHaveLength(100);
  expect(late.filter((one) => !(one instanceof VersionConflict))).toEqual([]);

  let next = 0;
  for await (const event of cim.subscribe({ from: "start", signal: AbortSignal.timeout(120_000) })) {
    const n = next < AGGREGATES ? next : (next - AGGREGATES) * EVERY;
    if (event.aggregate !== `p${n}` || event.origin.seq !== next + 1)
      expect(event).toMatchObject({ aggregate: `p${n}`, origin: { seq: next + 1 } });
    if (++next === AGGREGATES + some.length) break;
  }
  expect(next).toBe(AGGREGATES + some.length);
});
