import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { readStateCheckpoint } from "../shared/follow/read-state.ts";
import { writeAtomically } from "../shared/nats/batch-publisher.ts";
import { ensureStream } from "../shared/nats/ensure-stream.ts";
import { jetStreamApi, streamState } from "../shared/nats/jetstream-api.ts";
import { bucketStream, eventsStream } from "../shared/nats/streams.ts";
import { headerLine } from "../shared/protocol/headers.ts";
import { BUCKET, HEADER, STREAM } from "../shared/protocol/names.ts";
import { eventually } from "../test/support/eventually.ts";
import { startNatsServer } from "../test/support/nats-server.ts";
import { contractsOf, startStates } from "../test/support/state-node.ts";
import { median, progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- state [--events 60000] [--aggregates 5000] [--rounds 3] [--quick] [--json]

Folds a log of that many events into KV_CIM_STATE, synced, with the usual cache of 1,000 aggregates, which holds a part of
them only. In turn puts as many values of the same size with the KV client of nats.js into a bucket of the same server: one
at a time, and 256 under way. A put writes and knows nothing of the value before it, nor of how far it has come.
`;

const options = readOptions(USAGE, { values: ["events", "aggregates", "rounds"] });
const events = options.number("events", options.quick ? 10_000 : 60_000);
const aggregates = options.number("aggregates", 5_000);
const rounds = options.number("rounds", options.quick ? 1 : 3);
const BATCH = 1_000;
const UNDER_WAY = 256;

await using server = await startNatsServer();
const nc = await connect({ servers: server.url });
await ensureStream(nc, eventsStream({ maxBytes: null }));
await fill();
await ensureStream(nc, bucketStream("PUTS"));
const kv = await new Kvm(nc).open("PUTS");
const value = JSON.stringify({ name: "Ada Lovelace", city: "London", note: "x".repeat(120) });

const ARMS = {
  last: () => fold({}),
  counters: () => fold({ person: { resolver: "crdt", fields: { moves: "counter" } } }),
  puts: () => puts(UNDER_WAY, events),
  put: () => puts(1, Math.min(events, 3_000)),
} as const;
const runs: Record<keyof typeof ARMS, number[]> = { last: [], counters: [], puts: [], put: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of ["last", "puts", "counters", "put"] as const) {
    const perS = await ARMS[name]();
    runs[name].push(perS);
    progress(`${name}: ${Math.round(perS)}/s`);
  }
}
await nc.close();

const goal = { least: 10_000 };
const bare = median(runs.puts);
report(
  "state",
  [
    {
      what: "events folded, last-write-wins; beside: puts, 256 under way",
      unit: "/s",
      cim: median(runs.last),
      bare,
      goal,
    },
    {
      what: "events folded, counters; beside: puts, 256 under way",
      unit: "/s",
      cim: median(runs.counters),
      bare,
      goal,
    },
    {
      what: "events folded, last-write-wins; beside: puts, one at a time",
      unit: "/s",
      cim: median(runs.last),
      bare: median(runs.put),
    },
  ],
  { json: options.json, details: { events, aggregates, rounds, runs } },
);

async function fill(): Promise<void> {
  const nowUs = Date.now() * 1000;
  for (let at = 0; at < events; at += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, events - at) }, (_, i) => {
      const n = at + i + 1;
      const headerText =
        headerLine(HEADER.clock, `${Math.floor(nowUs / 1000) + n}.0`) +
        headerLine(HEADER.log, `1-aa.${n}`) +
        headerLine(HEADER.origin, `leaf1 1 e ${n}`) +
        headerLine(HEADER.id, `bench-${n}`) +
        headerLine(HEADER.time, `${nowUs + n * 1000} ${nowUs + n * 1000}`);
      const data = { name: "Ada Lovelace", city: `London ${n}`, note: "x".repeat(120), moves: 1 };
      // Spread so that the next event of an aggregate comes long after it has left the cache.
      const aggregate = (n * 7919) % aggregates;
      const subject = `cim.log.person.p${aggregate}.PersonMoved`;
      return { subject, headerText, body: Buffer.from(JSON.stringify(data)) };
    });
    const result = await writeAtomically(nc, messages, 30_000);
    if (result.kind !== "stored") throw new Error(`the log was not written: ${result.kind}`);
  }
}

/** Folds the whole log into an empty bucket. */
async function fold(contracts: Parameters<typeof contractsOf>[0]): Promise<number> {
  await ensureStream(nc, bucketStream(BUCKET.state));
  await jetStreamApi(nc, `STREAM.PURGE.${STREAM.state}`, {}, { timeoutMs: 60_000 });
  const { last_seq: last } = await streamState(nc, STREAM.events);
  const from = performance.now();
  await using _node = startStates(nc, { contracts: contractsOf(contracts) });
  await eventually(async () => ((await readStateCheckpoint(nc))?.seq ?? 0) >= last, {
    timeoutMs: 300_000,
    everyMs: 20,
  });
  const seconds = (performance.now() - from) / 1000;
  const checkpoint = await readStateCheckpoint(nc);
  if (checkpoint?.events !== events) throw new Error(`${checkpoint?.events} of ${events} events were folded`);
  return events / seconds;
}

async function puts(underWay: number, count: number): Promise<number> {
  let next = 0;
  const from = performance.now();
  const one = async () => {
    while (next < count) await kv.put(`person.p${(next++ * 7919) % aggregates}`, value);
  };
  await Promise.all(Array.from({ length: underWay }, one));
  return count / ((performance.now() - from) / 1000);
}
