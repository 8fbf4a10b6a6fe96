import * as Automerge from "@automerge/automerge";
import * as Y from "yjs";
import { LaneHistory } from "../shared/consistency/clock/lane-history.ts";
import type { DomainContract, FieldType } from "../shared/consistency/contract/contract.ts";
import { type FoldEvent, foldEvent, isPoison } from "../shared/consistency/resolve/fold-event.ts";
import { loadResolver } from "../shared/consistency/resolve/load-resolver.ts";
import type { StoredMessage } from "../shared/protocol/event.ts";
import { type Figure, progress, report } from "./support/figures.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- fold [--events 200000] [--aggregates 1000] [--nodes 5] [--rounds 3] [--quick] [--json]

How many events a second one core folds, without NATS: from messages as they stand in the log to states, folded in the log's
order and compacted after every 100 events of an aggregate. Each event names what its writer had seen. "resolver alone" is
the same of events that were read already. Then the same edits as Automerge (a change each, by the same nodes) and Yjs (an
update each) take them: their changes are made beforehand, and are applied to a document per aggregate. Seconds are those
that the one thread had a core. Best of the rounds.
`;

const options = readOptions(USAGE, { values: ["events", "aggregates", "nodes", "rounds"] });
const EVENTS = options.number("events", options.quick ? 20_000 : 200_000);
const AGGREGATES = options.number("aggregates", options.quick ? 100 : 1_000);
const NODES = options.number("nodes", 5);
const ROUNDS = options.number("rounds", options.quick ? 1 : 3);
/** Libraries that take some hundred events a second are given fewer. */
const OTHERS_EVENTS = Math.min(EVENTS, options.quick ? 2_000 : 20_000);
const COMPACTED_AFTER = 100;
const BEGIN_MS = 1.764e12;

type MakeData = (n: number) => Record<string, unknown>;

interface Case {
  readonly what: string;
  readonly contract: Partial<DomainContract>;
  readonly data: MakeData;
  readonly leastPerS: number;
}

const word = (n: number) => `w${(n * 7919) % 50}`;
const crdt = (type: FieldType) => ({ resolver: "crdt" as const, fields: { field: type } });
const patch: MakeData = (n) => ({ name: `name ${n}`, [`f${n % 20}`]: n, address: { city: word(n), zip: n } });
const CASES: readonly Case[] = [
  { what: "last-write-wins by field", contract: {}, data: patch, leastPerS: 100_000 },
  {
    what: "last-write-wins by document",
    contract: { granularity: "document" },
    data: patch,
    leastPerS: 100_000,
  },
  { what: "vector-clock by field", contract: { resolver: "vector-clock" }, data: patch, leastPerS: 50_000 },
  { what: "crdt counter", contract: crdt("counter"), data: (n) => ({ field: n % 9 }), leastPerS: 50_000 },
  {
    what: "crdt set",
    contract: crdt("set"),
    data: (n) => ({ field: { add: [word(n)], remove: [word(n + 3)] } }),
    leastPerS: 50_000,
  },
  {
    what: "crdt map of counter",
    contract: crdt("map of counter"),
    data: (n) => ({ field: { [word(n)]: 1 } }),
    leastPerS: 50_000,
  },
  {
    what: "crdt map of register",
    contract: crdt("map of register"),
    data: (n) => ({ field: { [word(n)]: n } }),
    leastPerS: 50_000,
  },
];

const aggregateOf = (n: number) => (n * 31) % AGGREGATES;

/** The log's messages: every node writes in turn, having seen all but the last few. */
function logOf(data: MakeData): StoredMessage[] {
  const seen = Array.from({ length: AGGREGATES }, () => new Map<string, number>());
  return Array.from({ length: EVENTS }, (_, n) => {
    const [aggregate, node, seq] = [aggregateOf(n), `leaf${n % NODES}`, Math.floor(n / NODES) + 1];
    const vector = seen[aggregate] as Map<string, number>;
    const lanes = [...vector].map(([lane, upTo]) => ` ${lane}:${upTo}`).join("") || " .:0";
    if (n % 3 !== 0) vector.set(`${node}/1`, seq);
    const ms = BEGIN_MS + n;
    const headerText = [
      `Cim-Log: 1-abcdef.${n + 1}`,
      `Cim-Origin: ${node} 1 e ${seq}`,
      `Cim-Id: 01932b2c-0000-7000-8000-${String(n).padStart(12, "0")}`,
      `Cim-Time: ${ms}000 ${ms + 5}000`,
      `Cim-Clock: ${ms}.0${lanes}`,
      "",
    ].join("\r\n");
    const subject = `cim.events.bench.a${aggregate}.Changed`;
    return { seq: n + 1, timeUs: ms * 1000, subject, headerText, body: Buffer.from(JSON.stringify(data(n))) };
  });
}

const figures: Figure[] = [];

/** Best rate of the rounds, events per second of this thread on a core: what else the machine does is not counted. */
async function best(events: number, run: () => Promise<void> | void): Promise<number> {
  let rate = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    rate = Math.max(rate, (events * 1e6) / (user + system));
  }
  return rate;
}

function read(message: StoredMessage, lanes: LaneHistory): FoldEvent {
  const event = foldEvent(message, lanes);
  if (!event || isPoison(event)) throw new Error("the bench made an event that can't be folded");
  return event;
}

for (const { what, contract, data, leastPerS } of CASES) {
  const resolver = await loadResolver({
    domain: "bench",
    resolver: "last-write-wins",
    granularity: "field",
    fields: {},
    module: null,
    ...contract,
  });
  const messages = logOf(data);
  const fold = (events: Iterable<FoldEvent>) => {
    const states = new Map<string, { state: unknown; events: number }>();
    for (const event of events) {
      let held = states.get(event.aggregate);
      if (!held) {
        held = { state: resolver.empty(), events: 0 };
        states.set(event.aggregate, held);
      }
      held.state = resolver.apply(held.state, event);
      if (++held.events % COMPACTED_AFTER === 0)
        held.state = resolver.compact(held.state, { index: event.index, ingestMs: event.ingestMs });
    }
  };
  const lanes = new LaneHistory();
  const whole = await best(EVENTS, () =>
    fold(
      (function* () {
        for (const message of messages) yield read(message, lanes);
      })(),
    ),
  );
  const events = messages.map((message) => read(message, lanes));
  const alone = await best(EVENTS, () => fold(events));
  progress(`${what}: ${Math.round(whole)}/s, resolver alone ${Math.round(alone)}/s`);
  figures.push({ what, unit: "events/s", cim: whole, goal: { least: leastPerS } });
  figures.push({ what: `${what}, resolver alone`, unit: "events/s", cim: alone });
}

for (const { name, rate } of [await automerge(), await yjs()]) {
  progress(`${name}: ${Math.round(rate)}/s`);
  figures.push({ what: name, unit: "events/s", cim: rate });
}

report(
  `fold: events/s on one core, ${EVENTS.toLocaleString("en-US")} events of ${AGGREGATES.toLocaleString("en-US")} aggregates by ${NODES} nodes`,
  figures,
  options,
);

/** A map of registers, as the last case above: each edit a change of one of the aggregate's actors. */
async function automerge(): Promise<{ name: string; rate: number }> {
  type Document = { field: Record<string, number> };
  const initial = Automerge.from<Document>({ field: {} }, { actor: "00" });
  const writers = new Map<string, Automerge.Doc<Document>>();
  const changes: (readonly [number, Uint8Array])[] = [];
  for (let n = 0; n < OTHERS_EVENTS; n++) {
    const [aggregate, node] = [aggregateOf(n), n % NODES];
    const key = `${aggregate}/${node}`;
    const actor = `${(node + 1).toString(16).padStart(4, "0")}${aggregate.toString(16).padStart(8, "0")}`;
    const before = writers.get(key) ?? Automerge.clone(initial, { actor });
    const after = Automerge.change(before, (document) => {
      document.field[word(n)] = n;
    });
    writers.set(key, after);
    changes.push([aggregate, Automerge.getLastLocalChange(after) as Uint8Array]);
  }
  const rate = await best(OTHERS_EVENTS, () => {
    const documents = Array.from({ length: AGGREGATES }, () => Automerge.clone(initial));
    for (const [aggregate, change] of changes)
      [documents[aggregate]] = Automerge.applyChanges(documents[aggregate] as Automerge.Doc<Document>, [
        change,
      ]);
  });
  return { name: `Automerge, the edits of "crdt map of register"`, rate };
}

async function yjs(): Promise<{ name: string; rate: number }> {
  const writers = new Map<string, Y.Doc>();
  const updates: (readonly [number, Uint8Array])[] = [];
  for (let n = 0; n < OTHERS_EVENTS; n++) {
    const [aggregate, node] = [aggregateOf(n), n % NODES];
    const key = `${aggregate}/${node}`;
    let writer = writers.get(key);
    if (!writer) {
      writer = new Y.Doc();
      writer.on("update", (update: Uint8Array) => updates.push([aggregate, update]));
      writers.set(key, writer);
    }
    writer.getMap("field").set(word(n), n);
  }
  const rate = await best(OTHERS_EVENTS, () => {
    const documents = Array.from({ length: AGGREGATES }, () => new Y.Doc());
    for (const [aggregate, update] of updates) Y.applyUpdate(documents[aggregate] as Y.Doc, update);
  });
  return { name: `Yjs, the edits of "crdt map of register"`, rate };
}
