import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { expect, test } from "vitest";
import type { NodeRecord } from "../../coordinator/registry/node-record.ts";
import { NodeRegistry } from "../../coordinator/registry/node-registry.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { bucketStream } from "../../shared/nats/streams.ts";
import { BUCKET, STREAM } from "../../shared/protocol/names.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { startNatsFleet } from "../support/nats-fleet.ts";

const log = pino({ enabled: false });

function record(name: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name,
    role: "leaf",
    region: "eu",
    capabilities: ["gpu"],
    coordinates: { latitude: 52.5, longitude: 13.4 },
    url: null,
    version: "0.1.0",
    serverVersion: "2.15.2",
    contracts: "fc4f",
    sources: ["heartbeat", "configuration"],
    incarnation: 1,
    firstSeen: "2026-11-24T12:00:00.000Z",
    lastSeen: "2026-11-24T12:00:00.000Z",
    ...change,
  };
}

const up = (...records: NodeRecord[]) => records.map((one) => ({ record: one, isUp: true }));
const registry = (nc: NatsConnection) => new NodeRegistry({ nc, inboxPrefix: inboxPrefix("hub"), log });
const writes = async (nc: NatsConnection) => (await streamState(nc, STREAM.nodes)).last_seq;
const namesOf = (records: readonly NodeRecord[]) => records.map(({ name }) => name).sort();

async function hub() {
  const fleet = await startNatsFleet({ leaves: [] });
  const nc = await fleet.connect("hub", "agent");
  await ensureStream(nc, bucketStream(BUCKET.nodes));
  return {
    nc,
    app: await fleet.connect("hub", "app"),
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}

test("keeps what changed, and only that, for the next coordinator and for any KV client", async () => {
  await using server = await hub();
  const { nc, app } = server;
  const first = registry(nc);
  expect(await first.load()).toEqual([]);
  const many = Array.from({ length: 30 }, (_, at) => record(`leaf${at}`));
  await first.keep(up(...many));
  const written = await writes(nc);
  const later = { lastSeen: "2026-11-24T12:59:59.000Z" };
  await first.keep(up(...many.map((one) => ({ ...one, ...later }))));
  expect(await writes(nc)).toBe(written);

  const [changed, seen, ...others] = many as [NodeRecord, NodeRecord, ...NodeRecord[]];
  const moved = { ...changed, region: "us", ...later };
  const gone = { ...seen, ...later };
  await first.keep([...up(moved, ...others), { record: gone, isUp: false }]);
  expect(await writes(nc)).toBe(written + 2);
  await first.keep(up(moved, ...others));
  const bucket = await new Kvm(app).open(BUCKET.nodes);
  expect((await bucket.get(moved.name))?.json()).toEqual(moved);
  expect((await bucket.get(gone.name))?.operation).toBe("DEL");

  const next = await registry(nc).load();
  expect(namesOf(next)).toEqual(namesOf([moved, ...others]));
  expect(next.find(({ name }) => name === moved.name)).toEqual(moved);
});

test("reads what another wrote meanwhile before it writes", async () => {
  await using server = await hub();
  const { nc } = server;
  const [one, other] = [registry(nc), registry(nc)];
  await one.load();
  await other.load();
  await one.keep(up(record("leaf1")));
  await other.keep(up(record("leaf1"), record("leaf2")));
  await other.keep(up(record("leaf1"), record("leaf2")));
  const written = await writes(nc);
  await other.keep(up(record("leaf1"), record("leaf2")));
  expect(await writes(nc)).toBe(written);
  expect(namesOf(await registry(nc).load())).toEqual(["leaf1", "leaf2"]);
});

test("passes over what it did not write", async () => {
  await using server = await hub();
  const { nc } = server;
  const bucket = await new Kvm(nc).open(BUCKET.nodes);
  await bucket.put("leaf9", "no JSON");
  await bucket.put("leaf8", JSON.stringify({ name: "leaf8" }));
  await bucket.put("leaf7", JSON.stringify(record("leaf7")));
  expect(namesOf(await registry(nc).load())).toEqual(["leaf7"]);
});
