import { jetstream } from "@nats-io/jetstream";
import { connectCim } from "../shared/client/connect-cim.ts";
import { jetStreamApi } from "../shared/nats/jetstream-api.ts";
import { uuidv7 } from "../shared/protocol/identity.ts";
import { HEADER } from "../shared/protocol/names.ts";
import { Arm } from "./support/arms.ts";
import { median, progress, report, spreadOf } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- commit [--rounds 20] [--each 100] [--seconds 2] [--committers 64] [--own-copy] [--states] [--quick] [--json]

Commits to a strong domain from a leaf, answered when they are durable in the hub's log, beside what JetStream does over the
same kind of link: publishes to a stream of the hub. Both fleets are up at the same time and take turns within each round: one
publish at a time (--each per round), then --committers at a time, each on an aggregate of its own, for --seconds. All servers
sync_interval always, on this machine's one disk. --own-copy: the leaf keeps its copy of the log too, and writes (and syncs)
every event a second time there. --states: the hub keeps aggregates' states too, as it does by default, and syncs them. In a round "with a version" each commit expects the last one's.
`;

const options = readOptions(USAGE, {
  values: ["rounds", "each", "seconds", "committers"],
  flags: ["own-copy", "states"],
});
const rounds = options.number("rounds", options.quick ? 4 : 20);
const each = options.number("each", options.quick ? 40 : 100);
const seconds = options.number("seconds", options.quick ? 0.5 : 2);
const committers = options.number("committers", 64);

const strong = { orders: { mode: "strong" } } as const;
await using mine = await Arm.start("cim", {
  leaves: 1,
  ...(!options.flag("own-copy") && { copies: [] }),
  configure: (document) => ({
    ...document,
    contracts: strong,
    ...(!options.flag("states") && { state: { enabled: false } }),
  }),
});
await using theirs = await Arm.start("bare", { leaves: 1, unsourced: true });
await jetStreamApi(await theirs.connect(theirs.hub), "STREAM.CREATE.BENCH", {
  name: "BENCH",
  subjects: ["bench.>"],
  storage: "file",
  num_replicas: 1,
  duplicate_window: 120_000_000_000,
});

type Publish = (aggregate: string) => Promise<unknown>;
const body = JSON.stringify({ of: "x".repeat(200) });
const publisher = async (arm: Arm, prefix: string): Promise<Publish> => {
  const js = jetstream(await arm.connect(arm.leaf()));
  return (aggregate) =>
    js.publish(`${prefix}.${aggregate}.Placed`, body, { msgID: uuidv7(), timeout: 20_000 });
};
const commit = await publisher(mine, "cim.events.orders");
const publish = await publisher(theirs, "bench.orders");
await using client = await connectCim({ url: mine.leaf().natsUrl });
let last: Awaited<ReturnType<typeof client.append>> | undefined;
const expecting: Publish = async () => {
  const event = { domain: "orders", aggregate: "versioned", type: "Placed", data: { of: "x".repeat(200) } };
  last = await client.append({ ...event, expect: last ?? "none" });
};

const times: Record<"cim" | "bare" | "expecting", number[]> = { cim: [], bare: [], expecting: [] };
const rates: Record<"cim" | "bare", number[]> = { cim: [], bare: [] };
// The first of each opens what is opened once.
for (const warm of [commit, publish, expecting]) for (let n = 0; n < 50; n++) await warm("warm");
for (let round = 0; round < rounds; round++) {
  times.cim.push(...(await oneByOne(commit)));
  times.bare.push(...(await oneByOne(publish)));
  times.expecting.push(...(await oneByOne(expecting)));
  rates.cim.push(await together(commit));
  rates.bare.push(await together(publish));
  const [ours, bare] = [rates.cim.at(-1) ?? 0, rates.bare.at(-1) ?? 0];
  progress(
    `${round + 1}/${rounds}: p50 ${median(times.cim).toFixed(2)} and bare ${median(times.bare).toFixed(2)} ms, ${committers} at a time ${Math.round(ours)}/s and bare ${Math.round(bare)}/s`,
  );
}

const [ours, versioned, bare] = [times.cim, times.expecting, times.bare].map(spreadOf);
const one = (spread: typeof ours) => spread ?? spreadOf([]);
const bareRate = 1000 / (times.bare.reduce((sum, ms) => sum + ms, 0) / times.bare.length);
report(
  `commit: a strong domain's events from a leaf, beside JetStream publishes over the same link (${HEADER.msgId} in both)`,
  [
    { what: "one at a time p50", unit: "ms", cim: one(ours).p50, bare: one(bare).p50 },
    { what: "one at a time p99", unit: "ms", cim: one(ours).p99, bare: one(bare).p99 },
    { what: "  p50 / bare p50", unit: "", cim: one(ours).p50 / one(bare).p50, goal: { most: 1.5 } },
    { what: "client, with a version p50", unit: "ms", cim: one(versioned).p50, bare: one(bare).p50 },
    { what: `${committers} at a time`, unit: "/s", cim: median(rates.cim), bare: median(rates.bare) },
    { what: "  rate / bare one at a time", unit: "", cim: median(rates.cim) / bareRate, goal: { least: 5 } },
  ],
  { json: options.json, details: { times: { ours, versioned, bare }, rates, bareRate } },
);

async function oneByOne(what: Publish): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < each; n++) {
    const startMs = performance.now();
    await what("single");
    took.push(performance.now() - startMs);
  }
  return took;
}

/** How many per second, each committer waiting for its last. */
async function together(what: Publish): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  const committer = async (_: unknown, n: number) => {
    for (; performance.now() - startMs < seconds * 1000; done++) await what(`of${n}`);
  };
  await Promise.all(Array.from({ length: committers }, committer));
  return done / ((performance.now() - startMs) / 1000);
}
