import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCorrelation } from "../../cli/find-correlation.ts";
import { type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ConnectionWatch } from "../../shared/nats/connection-watch.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { eventsStream } from "../../shared/nats/streams.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

/** A log of 12,000 events, most of them of no interest: more than is read at once. */

const TOTAL = 12_000;
/** By sequence: id, correlation, cause. */
const CHAINS: Readonly<Record<number, readonly [string, string, string?]>> = {
  100: ["old-root", "old-root"],
  200: ["old-effect", "old-root", "old-root"],
  11000: ["late-effect", "old-root", "old-effect"],
  11100: ["young-root", "young-root"],
  11200: ["young-effect", "young-root", "young-root"],
  11300: ["lost-effect", "free-words", "not-here"],
  11400: ["strayed-cause", "strayed-cause"],
  11500: ["strayed-effect", "strayed", "strayed-cause"],
};

let server: TestNatsServer;
let nc: NatsConnection;
let watch: ConnectionWatch;

beforeAll(async () => {
  server = await startNatsServer();
  nc = await connectNats({ url: server.url, name: "test" });
  watch = new ConnectionWatch(nc);
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  for (let first = 1; first <= TOTAL; first += 1_000) {
    const seqs = Array.from({ length: 1_000 }, (_, at) => first + at);
    await writeGuarded(nc, seqs.map(message), {});
  }
});

afterAll(async () => {
  await nc?.close();
  await server?.[Symbol.asyncDispose]();
});

function message(seq: number): OutgoingMessage {
  const [id, correlation, cause] = CHAINS[seq] ?? [`other-${seq}`, `other-${seq}`];
  const headerText =
    headerLine(HEADER.id, id) +
    headerLine(HEADER.correlation, correlation) +
    (cause === undefined ? "" : headerLine(HEADER.causation, cause)) +
    headerLine(HEADER.origin, `leaf1 1 e ${seq}`) +
    headerLine(HEADER.time, `${seq} ${seq}`);
  return { subject: "cim.log.orders.7.Placed", headerText, body: Buffer.from("{}") };
}

async function find(written: string, firstSeq = 1) {
  const found = await findCorrelation({
    node: { nc, watch, node: "hub", url: server.url, async [Symbol.asyncDispose]() {} },
    written,
    firstSeq,
    lastSeq: TOTAL,
    signal: new AbortController().signal,
    onMessages: () => {},
  });
  return found && { ...found, events: found.events.map(({ id }) => id) };
}

describe("a chain in a long log", () => {
  it("is found by its correlation, an event's id or the end of either", async () => {
    const events = ["old-root", "old-effect", "late-effect"];
    for (const written of ["old-root", "late-effect", "old-effect", "ate-effect"]) {
      expect(await find(written), written).toMatchObject({ correlationId: "old-root", events });
    }
  });

  it("is not looked for any further when its root and every cause are there", async () => {
    const found = await find("young-effect");
    expect(found).toMatchObject({ events: ["young-root", "young-effect"], looked: 5_000 });
    expect(found?.lookedFromSeq).toBe(7_001);
  });

  it("is looked for as far back as asked where something is missing", async () => {
    expect(await find("free-words")).toMatchObject({
      events: ["lost-effect"],
      looked: TOTAL,
      lookedFromSeq: 1,
    });
    expect(await find("old-root", 150)).toMatchObject({
      events: ["old-effect", "late-effect"],
      lookedFromSeq: 150,
    });
    expect(await find("nothing")).toBeUndefined();
    expect(await find("old-root", TOTAL + 1)).toBeUndefined();
  });

  it("has a cause of another correlation too", async () => {
    const events = ["strayed-cause", "strayed-effect"];
    expect(await find("strayed")).toMatchObject({ events, correlationId: "strayed" });
    expect((await find("strayed-effect", 11_450))?.events).toEqual(["strayed-effect"]);
  });
});
