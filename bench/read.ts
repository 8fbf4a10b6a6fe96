import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { jetstream } from "@nats-io/jetstream";
import { connectCim } from "../shared/client/connect-cim.ts";
import { writeAtomically } from "../shared/nats/batch-publisher.ts";
import { connectNats } from "../shared/nats/connect.ts";
import { ensureStream } from "../shared/nats/ensure-stream.ts";
import { bucketStream, eventsStream, outboxStream } from "../shared/nats/streams.ts";
import { headerLine } from "../shared/protocol/headers.ts";
import { BUCKET, HEADER, STREAM } from "../shared/protocol/names.ts";
import { startNatsServer } from "../test/support/nats-server.ts";
import { median, progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- read [--events 300000] [--rounds 3] [--quick] [--json]

Reads a log of that many events by the client's merged reader, and in turn by a plain consumer of nats.js with flow as it
comes by itself. By the wall and by this process's own processor time; and how much memory is held after a tenth of the
way, half of it, and at the end: resident, and of that what is in use when garbage is collected. With --events 10000000
--rounds 1 the memory of a long read is seen; it needs some 6 GB of disk.
`;

const options = readOptions(USAGE, { values: ["events", "rounds"] });
const events = options.number("events", options.quick ? 50_000 : 300_000);
const rounds = options.number("rounds", options.quick ? 1 : 3);
const MiB = 1024 ** 2;
const BATCH = 1_000;
const LEAVES = 4;

/** Where on the way memory is looked at. */
const PLACES = { beginning: 0.1, middle: 0.5, end: 1 } as const;
type Place = keyof typeof PLACES;

interface Memory {
  readonly rssMiB: number;
  /** In use by this process's own objects and buffers after its garbage was collected. */
  readonly usedMiB: number;
}

interface Run {
  readonly perS: number;
  readonly perCoreS: number;
  readonly memory: Record<Place, Memory>;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const config = 'server_name: test\njetstream { store_dir: "{dir}/nats", sync_interval: 2m }\n';
await using server = await startNatsServer({ config });
const nc = await connectNats({ url: server.url, name: "bench" });
await ensureStream(nc, outboxStream({ maxBytes: MiB, maxPayload: 8 * MiB }));
await ensureStream(nc, eventsStream({ maxBytes: null }));
// By it a reader knows the log itself from a copy.
await ensureStream(nc, bucketStream(BUCKET.control));
await fill();

const ARMS = { cim: readMerged, plain: readPlain };
const runs: Record<keyof typeof ARMS, Run[]> = { cim: [], plain: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of ["plain", "cim"] as const) {
    const one = await measured(ARMS[name]);
    runs[name].push(one);
    const used = Object.keys(PLACES).map((place) => one.memory[place as Place].usedMiB.toFixed(0));
    progress(`${name}: ${Math.round(one.perS)}/s, in use ${used.join(", ")} MiB`);
  }
}
await nc.close();

const both = (what: (run: Run) => number) => ({
  cim: median(runs.cim.map(what)),
  bare: median(runs.plain.map(what)),
});
const memory = (words: string, what: keyof Memory) =>
  (Object.keys(PLACES) as Place[]).map((place) => ({
    what: `${words}, ${place}`,
    unit: "MiB",
    ...both((run) => run.memory[place][what]),
  }));
report(
  "read",
  [
    {
      what: "events read, per core of the reader",
      unit: "/s",
      ...both((run) => run.perCoreS),
      goal: { least: 40_000 },
    },
    { what: "events read, by the wall", unit: "/s", ...both((run) => run.perS) },
    ...memory("memory in use", "usedMiB"),
    ...memory("resident memory", "rssMiB"),
  ],
  { json: options.json, details: { events, rounds, runs } },
);

async function fill(): Promise<void> {
  const body = Buffer.from(JSON.stringify({ name: "Ada Lovelace", city: "London", note: "x".repeat(120) }));
  const nowUs = Date.now() * 1000;
  for (let at = 0; at < events; at += BATCH) {
    const messages = Array.from({ length: Math.min(BATCH, events - at) }, (_, i) => {
      const n = at + i + 1;
      const headerText =
        headerLine("X-Correlation-ID", `bench-${n}`) +
        headerLine(HEADER.log, `1-aa.${n}`) +
        headerLine(HEADER.origin, `leaf${n % LEAVES} 1 e ${Math.ceil(n / LEAVES)}`) +
        headerLine(HEADER.id, `bench-${n}`) +
        headerLine(HEADER.time, `${nowUs + n} ${nowUs + n}`);
      return { subject: `cim.log.person.p${n % 1000}.PersonMoved`, headerText, body };
    });
    const result = await writeAtomically(nc, messages, 30_000);
    if (result.kind !== "stored") throw new Error(`the log was not written: ${result.kind}`);
    if (at > 0 && at % 500_000 === 0) progress(`${at} events written`);
  }
}

async function measured(arm: (step: (n: number) => void) => Promise<void>): Promise<Run> {
  collect();
  const memory = {} as Record<Place, Memory>;
  const at = new Map(
    Object.entries(PLACES).map(([place, part]) => [Math.ceil(events * part), place as Place]),
  );
  let [lookedMs, lookedCpuS] = [0, 0];
  const usedBefore = process.cpuUsage();
  const from = performance.now();
  await arm((n) => {
    const place = at.get(n);
    if (!place) return;
    // Looking takes time of its own, which is not the reader's.
    const [fromMs, fromCpuS] = [performance.now(), cpuSince()];
    const rss = process.memoryUsage.rss();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    memory[place] = { rssMiB: rss / MiB, usedMiB: (heapUsed + external) / MiB };
    lookedMs += performance.now() - fromMs;
    lookedCpuS += cpuSince() - fromCpuS;
  });
  const seconds = (performance.now() - from - lookedMs) / 1000;
  const cpuS = cpuSince(usedBefore) - lookedCpuS;
  return { perS: events / seconds, perCoreS: events / cpuS, memory };
}

function cpuSince(before?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000_000;
}

async function readMerged(step: (n: number) => void): Promise<void> {
  await using cim = await connectCim({ url: server.url });
  let n = 0;
  for await (const event of cim.subscribe({ from: "start" })) {
    // As a reader would: who it is, and its body.
    if (event.id === "" || event.data.byteLength === 0) throw new Error("an empty event");
    step(++n);
    if (n === events) return;
  }
  throw new Error(`it ended after ${n} events`);
}

async function readPlain(step: (n: number) => void): Promise<void> {
  const own = await connectNats({ url: server.url, name: "plain" });
  const consumer = await jetstream(own).consumers.get(STREAM.events, {});
  const messages = await consumer.consume({ max_messages: 2_000 });
  let n = 0;
  for await (const message of messages) {
    const id = message.headers?.get(HEADER.id);
    if (id === "" || message.data.byteLength === 0) throw new Error("an empty event");
    step(++n);
    if (n === events) break;
  }
  await messages.close();
  await own.close();
}
