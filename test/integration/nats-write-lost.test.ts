import pino from "pino";
import { expect, it } from "vitest";
import { writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";

it.each([1, 20])(
  "a write of %i under way ends with its server, not ten seconds later",
  async (count) => {
    await using server = await startNatsServer();
    const nc = await connectNats({ url: server.url, name: "writer", log: pino({ level: "silent" }) });
    try {
      const config = { name: "S", subjects: ["cim.log.>"], storage: "file", allow_atomic: true };
      await jetStreamApi(nc, "STREAM.CREATE.S", config);
      server.pause();
      const message = { subject: "cim.log.a.B", headerText: "", body: Buffer.from("x") };
      const write = writeGuarded(
        nc,
        Array.from({ length: count }, () => message),
        { lastSeq: 0 },
        60_000,
      );
      await server.kill();
      // Without that it would wait a minute, longer than this test may take.
      expect(await write).toMatchObject({ kind: "unknown", reason: "the connection was lost" });
      await server.restart();
      // Until it is back, it says so at once and does not wait for its time-out.
      const again = await eventually(async () => {
        const result = await writeGuarded(nc, [message], { lastSeq: 0 }, 60_000);
        return result.kind === "unknown" ? undefined : result;
      });
      expect(again).toEqual({ kind: "stored", lastSeq: 1 });
    } finally {
      await nc.close();
    }
  },
  30_000,
);
