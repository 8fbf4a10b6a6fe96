import { jetstream } from "@nats-io/jetstream";
import { type CimClient, connectCim, type EventToAppend } from "../shared/client/connect-cim.ts";
import { encodeEvent } from "../shared/client/event-to-append.ts";
import { writeAtomically } from "../shared/nats/batch-publisher.ts";
import { connectNats } from "../shared/nats/connect.ts";
import { ensureStream } from "../shared/nats/ensure-stream.ts";
import { outboxStream } from "../shared/nats/streams.ts";
import { startNatsServer } from "../test/support/nats-server.ts";
import { benchEvent } from "./support/events.ts";
import { median, progress, report, type Spread, spreadOf } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- append [--callers 256] [--seconds 4] [--rounds 3] [--quick] [--json]

Appends to one node's outbox, sync_interval always: many concurrent callers of the client, one caller after another, and
many callers that create an aggregate each and expect that it is new. Beside them in turn, on the same stream, JetStream
publishes of nats.js: as many in flight as there are callers, and one at a time.
`;

const options = readOptions(USAGE, { values: ["callers", "seconds", "rounds"] });
const callers = options.number("callers", 256);
const seconds = options.number("seconds", options.quick ? 1 : 4);
const rounds = options.number("rounds", options.quick ? 1 : 3);

interface Run {
  readonly perS: number;
  readonly ms: Spread;
}

await using server = await startNatsServer();
const nc = await connectNats({ url: server.url, name: "bench" });
await ensureStream(nc, outboxStream({ maxBytes: 8 * 1024 ** 3, maxPayload: 8 * 1024 ** 2 }));
const js = jetstream(nc);
const cim: CimClient = await connectCim({ url: server.url, timeoutMs: 30_000 });

let made = 0;
// Made before: what an application does to make an event is not what is measured.
const EVENTS = Array.from({ length: 5_000 }, (_, n) => benchEvent(n));
const anEvent = () => EVENTS[made++ % EVENTS.length] as EventToAppend;
const append = () => cim.append(anEvent());
const create = () => {
  const n = made;
  return cim.append({ ...anEvent(), aggregate: `new-${n}`, expect: "none" });
};
const publish = () => {
  const n = made;
  const { domain, aggregate, type, data } = anEvent();
  return js.publish(`cim.events.${domain}.${aggregate}.${type}`, data as Uint8Array, {
    msgID: `bench-${n}`,
    timeout: 30_000,
  });
};

/** What the engine gives for a group of all callers, written one after the other and encoded before. */
const batch = Array.from({ length: callers }, () => {
  const { message } = encodeEvent(benchEvent(made++), { eventBytes: 1_000_000, node: cim.node });
  return { ...message, headerText: "" };
});
const engineBatch = async () => {
  const result = await writeAtomically(nc, batch);
  if (result.kind !== "stored") throw new Error(`the batch was not stored: ${result.kind}`);
};

const ARMS = {
  "many callers": [callers, append],
  "many publishes": [callers, publish],
  "engine's batch": [1, engineBatch],
  "one caller": [1, append],
  "one publish": [1, publish],
  "new aggregates": [callers, create],
} as const;
type ArmName = keyof typeof ARMS;
const runs = new Map<ArmName, Run[]>();
// Once for the just-in-time compiler, not counted.
await run(callers, append, 0.5);
for (let round = 0; round < rounds; round++) {
  for (const [name, [width, work]] of Object.entries(ARMS) as [ArmName, (typeof ARMS)[ArmName]][]) {
    const one = await run(width, work, seconds);
    runs.set(name, [...(runs.get(name) ?? []), one]);
    progress(
      `${name}: ${Math.round(one.perS)}/s, p50 ${one.ms.p50.toFixed(2)} p99 ${one.ms.p99.toFixed(2)} ms`,
    );
  }
}
await cim.close();
await nc.close();

const of = (name: ArmName, pick: (run: Run) => number) => median((runs.get(name) ?? []).map(pick));
const perS = (run: Run) => run.perS;
const p50 = (run: Run) => run.ms.p50;
const p99 = (run: Run) => run.ms.p99;
const ratio = of("one caller", p50) / of("one publish", p50);
report(
  `append: ${callers} callers, synced, median of ${rounds}`,
  [
    {
      what: "many callers",
      unit: "/s",
      cim: of("many callers", perS),
      bare: of("many publishes", perS),
      goal: { least: 25_000 },
    },
    {
      what: "many callers p99",
      unit: "ms",
      cim: of("many callers", p99),
      bare: of("many publishes", p99),
      goal: { most: 25 },
    },
    {
      what: "many callers, beside the engine's own batches",
      unit: "/s",
      cim: of("many callers", perS),
      bare: of("engine's batch", perS) * callers,
    },
    { what: "one caller p50", unit: "ms", cim: of("one caller", p50), bare: of("one publish", p50) },
    { what: "one caller, times a publish", unit: "", cim: ratio, goal: { most: 1.2 } },
    { what: "new aggregates, expected new", unit: "/s", cim: of("new aggregates", perS) },
  ],
  { json: options.json, details: Object.fromEntries(runs) },
);

async function run(width: number, work: () => Promise<unknown>, forS: number): Promise<Run> {
  const times: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + forS * 1000;
  const one = async () => {
    for (let nowMs = performance.now(); nowMs < endMs; ) {
      await work();
      const doneMs = performance.now();
      times.push(doneMs - nowMs);
      nowMs = doneMs;
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  return { perS: (times.length / (performance.now() - startMs)) * 1000, ms: spreadOf(times) };
}
