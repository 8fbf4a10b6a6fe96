import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  type Appended,
  type CimClient,
  connectCim,
  type EventToAppend,
  StoreUnavailable,
  VersionConflict,
} from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { outboxStream } from "../../shared/nats/streams.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { uuidv7 } from "../../shared/protocol/identity.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";

const MiB = 1024 * 1024;
const KILLS = 3;
const AGGREGATES = ["ada", "bob", "eve"];

interface Attempt {
  readonly id: string;
  /** What it expected: a sequence, 0 for none, undefined for nothing. */
  readonly expected: number | undefined;
  readonly outcome: Appended | Error;
}

/** What it expects of its aggregate: an outbox's sequence, 0 for none, undefined for nothing. */
function expectedSeq({ expect: expected }: EventToAppend): number | undefined {
  if (expected === undefined || expected === "none") return expected && 0;
  return "seq" in expected ? expected.seq : undefined;
}

/** Competes for the aggregates until told to stop, with what it last heard to be the newest. */
async function compete(
  cim: CimClient,
  who: string,
  versions: Map<string, EventToAppend["expect"]>,
  isOver: () => boolean,
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  const attempt = async (event: EventToAppend): Promise<Appended | Error> => {
    const outcome = await cim.append(event).catch((error: unknown) => error as Error);
    attempts.push({ id: event.id ?? "", expected: expectedSeq(event), outcome });
    return outcome;
  };
  for (let n = 0; !isOver(); n++) {
    const aggregate = AGGREGATES[n % AGGREGATES.length] as string;
    const version = versions.get(aggregate) ?? "none";
    const event = { domain: "person", type: `By${who}`, id: uuidv7(), aggregate, expect: version };
    const other = { domain: "person", type: "Other", id: uuidv7(), aggregate: `other-${who}` };
    const [outcome] = await Promise.all([attempt(event), attempt(other)]);
    if (!(outcome instanceof Error)) versions.set(aggregate, outcome);
    else if (outcome instanceof VersionConflict && typeof outcome.actual === "number")
      versions.set(aggregate, { node: cim.node, seq: outcome.actual });
    else if (outcome instanceof VersionConflict) versions.set(aggregate, "none");
  }
  return attempts;
}

test("over kills of the server each version has one successor, and every answer is the truth", async () => {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "test" });
  await ensureStream(nc, outboxStream({ maxBytes: 256 * MiB, maxPayload: MiB }));
  await using a = await connectCim({ url: server.url, timeoutMs: 10_000 });
  // Gives up while the server is away.
  await using b = await connectCim({ url: server.url, timeoutMs: 500 });
  let over = false;
  const competing = Promise.all(
    [a, b].flatMap((cim, c) => {
      const versions = new Map<string, EventToAppend["expect"]>();
      return Array.from({ length: 16 }, (_, n) => compete(cim, `${c}x${n}`, versions, () => over));
    }),
  );
  for (let kill = 0; kill < KILLS; kill++) {
    const { last_seq: before } = await streamState(nc, STREAM.outbox);
    await eventually(async () => (await streamState(nc, STREAM.outbox)).last_seq > before + 200);
    await server.kill();
    if (kill % 2 === 0) await sleep(1_000);
    await server.restart();
    await eventually(() => streamState(nc, STREAM.outbox), { what: "the server's return" });
  }
  over = true;
  const attempts = (await competing).flat();

  const seqs = new Map<string, number>();
  const predecessors = new Map<string, number>();
  const newest = new Map<string, number>();
  const { last_seq: last } = await streamState(nc, STREAM.outbox);
  await using reader = await new StreamReader({ nc, stream: STREAM.outbox, startSeq: 1 }).start();
  for await (const messages of reader.backlog(last)) {
    for (const { seq, subject, headerText } of messages) {
      const id = headerValue(headerText, "Nats-Msg-Id") ?? "";
      expect(seqs.has(id), `${id} twice`).toBe(false);
      seqs.set(id, seq);
      const aggregate = subject.slice(0, subject.lastIndexOf("."));
      predecessors.set(id, newest.get(aggregate) ?? 0);
      newest.set(aggregate, seq);
    }
  }
  const kinds = new Map<string, number>();
  for (const { id, expected, outcome } of attempts) {
    const seq = seqs.get(id);
    if (expected !== undefined && seq !== undefined) expect(predecessors.get(id)).toBe(expected);
    const unknown = outcome instanceof StoreUnavailable && outcome.outcome === "unknown";
    if (!(outcome instanceof Error)) expect(outcome.seq).toBe(seq);
    else if (!unknown) expect(seq, `${outcome}`).toBe(undefined);
    else expect(await a.find(id, { domain: "person" })).toMatchObject({ found: seq !== undefined });
    const kind = outcome instanceof Error ? `${outcome.name} ${unknown}` : "stored";
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining(["stored", "VersionConflict false", "StoreUnavailable true"]),
  );
  await nc.close();
});
