import type { NatsConnection } from "@nats-io/transport-node";
import { afterEach, expect, test } from "vitest";
import { type CimClient, type CimEvent, connectCim } from "../../shared/client/connect-cim.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { bucketStream, eventsStream, outboxStream } from "../../shared/nats/streams.ts";
import { BUCKET, STREAM } from "../../shared/protocol/names.ts";
import { CopyByHand, type EventByHand } from "../support/copy-by-hand.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

interface Node {
  readonly server: TestNatsServer;
  readonly nc: NatsConnection;
  readonly cim: CimClient;
  readonly copy: CopyByHand;
}

async function startNode(name: string, { hub = false } = {}): Promise<Node> {
  const config = `server_name: ${name}\njetstream { store_dir: "{dir}/nats", sync_interval: always }\n`;
  const server = await startNatsServer({ config });
  open.push(server);
  const nc = await connectNats({ url: server.url, name: "test" });
  open.push({ [Symbol.asyncDispose]: () => nc.close() });
  await ensureStream(nc, outboxStream({ maxBytes: 64 * 1024 ** 2, maxPayload: 1024 ** 2 }));
  await ensureStream(nc, eventsStream({ maxBytes: null }));
  if (hub) await ensureStream(nc, bucketStream(BUCKET.control));
  const cim = await connectCim({ url: server.url });
  open.push(cim);
  return { server, nc, cim, copy: new CopyByHand(nc) };
}

async function read(
  { cim }: Node,
  count: number,
  options: Omit<Parameters<CimClient["subscribe"]>[0], "durable"> & { from: string | Date },
): Promise<CimEvent[]> {
  const events: CimEvent[] = [];
  for await (const event of cim.subscribe({ ...options, signal: AbortSignal.timeout(60_000) })) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}
const ids = (events: readonly CimEvent[]) => events.map(({ id }) => id);
const last = (events: readonly CimEvent[]) => events.at(-1)?.checkpoint as string;
const events = (domain: string, ...indexes: number[]): EventByHand[] =>
  indexes.map((index) => ({ index, domain }));

/** The log: person 2, orders 3, person 4, marks 5, orders 6, person 7, orders 8, person 9. */
async function fillHub(node: Node): Promise<void> {
  await node.copy.reign();
  await node.copy.events([...events("person", 2), ...events("orders", 3), ...events("person", 4)]);
  await node.copy.marks(5);
  const rest = [
    ...events("orders", 6),
    ...events("person", 7),
    ...events("orders", 8),
    ...events("person", 9),
  ];
  await node.copy.events(rest);
}

/** A copy that had `orders` filled in up to 6 when it stood at 7. */
async function beginFill({ copy }: Node): Promise<void> {
  await copy.record(["person"], 0);
  await copy.reign();
  await copy.events(events("person", 2, 4));
  await copy.marks(5);
  await copy.events(events("person", 7));
  await copy.record(["person"], 7, { domains: ["orders"], done: 0 });
  await copy.events(events("orders", 3));
  await copy.record(["person"], 7, { domains: ["orders"], done: 3 });
}

async function endFill({ copy }: Node): Promise<void> {
  await copy.events(events("orders", 6));
  await copy.record(["person", "orders"], 7);
  await copy.events([...events("orders", 8), ...events("person", 9)]);
}

test("any checkpoint of a copy that is filled in goes on elsewhere, and one from elsewhere in it, with nothing missed or twice", async () => {
  const [hub, leaf] = await Promise.all([startNode("hub", { hub: true }), startNode("leaf1")]);
  await fillHub(hub);
  await beginFill(leaf);
  await endFill(leaf);
  const all = ["orders-3", "orders-6", "orders-8", "person-2", "person-4", "person-7", "person-9"];
  for (const [from, to] of [
    [leaf, hub],
    [hub, leaf],
  ] as const) {
    const before = await read(from, 7, { from: "start" });
    for (const [at, event] of before.slice(0, -1).entries()) {
      const had = ids(before.slice(0, at + 1));
      const rest = ids(await read(to, 7 - had.length, { from: event.checkpoint }));
      expect([...had, ...rest].toSorted(), `behind ${event.id}`).toEqual(all);
    }
  }
});

test("what is filled in after a checkpoint of elsewhere was taken up is passed over as far as it was read there", async () => {
  const [hub, leaf] = await Promise.all([startNode("hub", { hub: true }), startNode("leaf1")]);
  await fillHub(hub);
  await beginFill(leaf);
  const before = await read(hub, 3, { from: "start" });
  expect(ids(before)).toEqual(["person-2", "orders-3", "person-4"]);
  const reading = read(leaf, 4, { from: last(before) });
  await endFill(leaf);
  expect(ids(await reading)).toEqual(["person-7", "orders-6", "orders-8", "person-9"]);
});

test("a time is found in a copy whose times do not grow along it", async () => {
  const leaf = await startNode("leaf1");
  await beginFill(leaf);
  await endFill(leaf);
  // By hand, an event of index n was taken at n ms.
  for (const [ms, expected] of [
    [4, ["person-4", "person-7", "orders-6", "orders-8", "person-9"]],
    [7, ["person-7", "orders-8", "person-9"]],
  ] as const)
    expect(ids(await read(leaf, expected.length, { from: new Date(ms) }))).toEqual(expected);
});

test("own events of a domain that the copy lacks are not lost to those of one that it has, which come back sooner", async () => {
  const leaf = await startNode("leaf1");
  await leaf.copy.record(["person"], 0);
  await leaf.copy.reign();
  const total = 900;
  const made = Array.from({ length: total }, (_, n) => ({
    domain: (n + 1) % 3 === 0 ? "person" : "orders",
    aggregate: "a",
    type: "Made",
    id: `own-${n + 1}`,
  }));
  await leaf.cim.appendBatch(made);
  for (let seq = 3; seq <= total; seq += 3) await leaf.copy.own("leaf1", seq, seq + 1);
  // Far more of the log than of the outbox is here at first.
  const got = ids(await read(leaf, total, { from: "start" }));
  expect(got).toEqual(made.map(({ id }) => id));
});

test("own events that were trimmed before the reader began come with the domain that is filled in", async () => {
  const leaf = await startNode("leaf1");
  await leaf.copy.record(["person"], 0);
  await leaf.copy.reign();
  const domains = ["orders", "person", "orders", "person"];
  for (const [n, domain] of domains.entries())
    await leaf.cim.append({ domain, aggregate: "a", type: "Made", id: `own-${n + 1}` });
  await leaf.copy.own("leaf1", 2, 3);
  await leaf.copy.own("leaf1", 4, 5);
  await leaf.copy.record(["person"], 5, { domains: ["orders"], done: 0 });
  await leaf.copy.own("leaf1", 1, 2);
  await leaf.copy.own("leaf1", 3, 4);
  await leaf.copy.record(["person", "orders"], 5);
  await jetStreamApi(leaf.nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 4 });
  expect(ids(await read(leaf, 4, { from: "start" })).toSorted()).toEqual([
    "own-1",
    "own-2",
    "own-3",
    "own-4",
  ]);
});

test("a copy that lets go of a domain while a reader waits for own events of it does not let them be missed", async () => {
  const leaf = await startNode("leaf1");
  await leaf.copy.record(["orders"], 0);
  await leaf.copy.reign();
  for (let n = 1; n <= 6; n++)
    await leaf.cim.append({ domain: "orders", aggregate: "a", type: "Made", id: `own-${n}` });
  const from = last(await read(leaf, 2, { from: "start", domain: "orders" }));
  await jetStreamApi(leaf.nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 5 });
  const reading = read(leaf, 1, { from, domain: "orders" });
  const refused = expect(reading).rejects.toMatchObject({ name: "EventsGone" });
  const consumers = () =>
    jetStreamApi<{ total: number }>(leaf.nc, `CONSUMER.NAMES.${STREAM.events}`, {}).then(
      ({ total }) => total,
    );
  await eventually(async () => (await consumers()) > 0, { what: "the reader of the log" });
  // The log had them, and this copy had not yet come as far.
  await leaf.copy.record(["person"], 9);
  await refused;
});

const counted = (seq: number, orders: number) => ({
  lanes: [{ node: "leaf1", incarnation: 1, mark: { seq, print: `p${seq}` }, top: seq, refused: [] }],
  totals: [["orders", "leaf1", orders] as [string, string, number]],
});

test("own events that were trimmed unread and of which the log counts none that matches are not asked for", async () => {
  const leaf = await startNode("leaf1");
  await leaf.copy.record(["person"], 0);
  await leaf.copy.reign();
  for (const [n, domain] of ["orders", "audit", "audit", "audit", "orders"].entries())
    await leaf.cim.append({ domain, aggregate: "a", type: "Made", id: `own-${n + 1}` });
  const from = last(await read(leaf, 1, { from: "start", domain: "orders" }));
  await leaf.copy.marks(3, counted(1, 1));
  await leaf.copy.marks(7, counted(4, 1));
  await leaf.copy.marks(9, counted(5, 2));
  await jetStreamApi(leaf.nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 5 });
  expect(ids(await read(leaf, 1, { from, domain: "orders" }))).toEqual(["own-5"]);
  await leaf.cim.append({ domain: "orders", aggregate: "a", type: "Made", id: "own-6" });
  await jetStreamApi(leaf.nc, `STREAM.PURGE.${STREAM.outbox}`, { seq: 6 });
  await expect(read(leaf, 1, { from, domain: "orders" })).rejects.toMatchObject({ name: "EventsGone" });
});

test("where no own event is, going on reads no more of the log than it must", async () => {
  const [hub, other] = await Promise.all([startNode("hub", { hub: true }), startNode("hub2", { hub: true })]);
  const total = 4_000;
  for (const { copy } of [hub, other]) {
    await copy.reign();
    for (let at = 2; at < total; at += 500)
      await copy.events(
        events("person", ...Array.from({ length: Math.min(500, total - at) }, (_, i) => at + i)),
      );
    await copy.marks(total);
    await copy.events(events("person", total + 1, total + 2));
  }
  const before = last(await read(hub, 1, { from: new Date(total + 1) }));
  const sent = async () => {
    const varz = (await (await fetch(`${other.server.monitorUrl}/varz`)).json()) as { out_msgs: number };
    return varz.out_msgs;
  };
  const earlier = await sent();
  expect(ids(await read(other, 1, { from: before }))).toEqual([`person-${total + 2}`]);
  expect((await sent()) - earlier).toBeLessThan(total / 4);
});

test("from one copy of some domains to another, what the second node wrote comes once, in every domain", async () => {
  const [one, two] = await Promise.all([startNode("leaf1"), startNode("leaf2")]);
  const append = (n: number, domain: string) =>
    two.cim.append({ domain, aggregate: "a", type: "Made", id: `own-${n}` });
  await append(1, "person");
  await append(2, "orders");
  await append(3, "person");
  for (const { copy } of [one, two]) {
    await copy.record(["person"], 0);
    await copy.reign();
  }
  await two.copy.own("leaf2", 1, 2);
  await two.copy.own("leaf2", 3, 4);
  await two.copy.events(events("person", 5));
  // The same log, of which neither copy has what is at 3.
  const second = { domain: "person", node: "leaf2" };
  await one.copy.events([
    { ...second, index: 2, seq: 1 },
    { ...second, index: 4, seq: 3 },
    ...events("person", 5),
  ]);
  const from = last(await read(one, 3, { from: "start" }));
  await append(4, "person");
  const got = await read(two, 2, { from });
  expect(ids(got)).toEqual(["own-2", "own-4"]);
  await append(5, "orders");
  expect(ids(await read(two, 2, { from: got[0]?.checkpoint as string }))).toEqual(["own-4", "own-5"]);
  // There and back: what the first node's copy has of the second one by now was read there.
  await two.copy.own("leaf2", 4, 6);
  await one.copy.events([{ ...second, index: 6, seq: 4 }, ...events("person", 7)]);
  const back = await read(one, 2, { from: got[0]?.checkpoint as string });
  expect(ids(back)).toEqual(["person-6", "person-7"]);
  await two.copy.events(events("person", 7));
  expect(ids(await read(two, 1, { from: last(back) }))).toEqual(["own-5"]);
});
