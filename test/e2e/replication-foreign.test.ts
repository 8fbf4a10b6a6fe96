import { connect, headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { bodyHash, type Stored } from "../support/checker-read.ts";
import { Fleet } from "../support/fleet.ts";

/** Programs that know nothing of cim but a subject. */

let fleet: Fleet;

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 2 });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

/** Publishes as any NATS client does, and notes the PubAck. */
async function publish(node: LabNode, subject: string, body: Uint8Array, id?: string): Promise<number> {
  const nc = await connect({ servers: node.natsUrl });
  try {
    const head = headers();
    if (id !== undefined) head.set("Nats-Msg-Id", id);
    const options = id === undefined ? {} : { headers: head };
    const reply = await nc.request(subject, body, { timeout: 20_000, ...options });
    const { seq } = reply.json() as { seq: number };
    await fleet.ledger.note({ node: node.name, seq, id: id ?? null, subject, body: bodyHash(body) });
    return seq;
  } finally {
    await nc.close();
  }
}

function carried(event: Stored | undefined): [string, string][] {
  return [...(event?.headers ?? [])].filter(([name]) => !name.startsWith("Nats-"));
}

it("takes both events of two leaves whose writers used the same Nats-Msg-Id", async () => {
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await publish(one, "cim.events.person.p1.Renamed", Buffer.from("from leaf1"), "the-same-id");
  await publish(two, "cim.events.person.p1.Renamed", Buffer.from("from leaf2"), "the-same-id");
  const { log, copies } = await fleet.settled();
  for (const messages of [log.messages, ...[...copies.values()].map(({ stream }) => stream.messages)]) {
    const both = messages.filter(({ id }) => id === "the-same-id");
    expect(both.map(({ origin }) => origin?.node).toSorted()).toEqual(["leaf1", "leaf2"]);
    expect(new Set(both.map(({ body }) => body)).size).toBe(2);
  }
});

it("replicates what a client publishes without any header: the same id everywhere, the body untouched", async () => {
  const leaf = fleet.leaf("leaf2");
  const body = Buffer.from([0, 255, 1, 254, 13, 10, 0, 66]);
  const seq = await publish(leaf, "cim.events.person.PersonCreated", body);
  const { log, copies } = await fleet.settled();
  const found = [log.messages, ...[...copies.values()].map(({ stream }) => stream.messages)].map(
    (messages) => messages.filter(({ subject }) => subject === "cim.events.person.PersonCreated") as Stored[],
  );
  expect(found).toHaveLength(3);
  for (const [event, ...more] of found) {
    expect(more).toEqual([]);
    expect(event?.body).toBe(bodyHash(body));
    expect(event?.origin).toEqual({ node: "leaf2", incarnation: 1, seq });
    expect(event?.headers.get("Cim-Id")).toMatch(/^\S{16,}$/);
    // Everywhere the same metadata; what begins with Nats- is the reading server's own.
    expect(carried(event)).toEqual(carried(found[0]?.[0]));
  }
});

it("carries a foreign client's own headers along, and none that a stream would act on", async () => {
  const leaf = fleet.leaf("leaf1");
  const nc = fleet.use({
    connection: await connect({ servers: leaf.natsUrl }),
    async [Symbol.asyncDispose]() {
      await this.connection.close();
    },
  }).connection;
  const head = headers();
  head.append("Traceparent", "00-1");
  head.append("X-Own", "one");
  head.append("X-Own", "two");
  head.append("Cim-Log", "9-bad.7");
  head.append("Cim-Origin", "leaf2 1 e 1");
  const subject = "cim.events.person.p2.Moved";
  const body = Buffer.from("{}");
  const reply = await nc.request(subject, body, { headers: head, timeout: 20_000 });
  const { seq } = reply.json() as { seq: number };
  await fleet.ledger.note({ node: "leaf1", seq, id: null, subject, body: bodyHash(body) });
  const { log } = await fleet.settled();
  const event = log.messages.find((message) => message.subject === subject);
  expect(event?.origin).toEqual({ node: "leaf1", incarnation: 1, seq });
  expect(event?.headers.get("Traceparent")).toBe("00-1");
  expect(event?.headers.get("X-Own")).toBe("one");
});
