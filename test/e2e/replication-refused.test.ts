import { randomBytes } from "node:crypto";
import { connect, headers } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { bodyHash, readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

const MiB = 1024 * 1024;

/** The leaf takes larger events than its hub. */
function unequal(document: ConfigDocument): ConfigDocument {
  const maxPayload = document.role === "hub" ? MiB : 8 * MiB;
  return { ...document, nats: { ...document.nats, maxPayload } };
}

/** Publishes at leaf1 and notes the acknowledgement. */
async function publish(fleet: Fleet, subject: string, body: Uint8Array, id: string): Promise<void> {
  const nc = await connect({ servers: fleet.leaf("leaf1").natsUrl });
  const head = headers();
  head.set("Nats-Msg-Id", id);
  const answer = (await nc.request(subject, body, { headers: head, timeout: 30_000 })).json();
  const { seq } = answer as { seq: number };
  expect(answer).not.toHaveProperty("error");
  await fleet.ledger.note({ node: "leaf1", seq, id, subject, body: bodyHash(body) });
  await nc.close();
}

it("keeps what the log refuses at its origin, with the reason, and goes on with the rest", async () => {
  await using fleet = await Fleet.start({ leaves: 1, configure: unequal });
  const leaf = fleet.leaf("leaf1");
  const bodies = new Map([
    ["underscore", Buffer.from("of a domain that is kept for others")],
    ["short", Buffer.from("without a type")],
    ["packs-well", Buffer.alloc(2 * MiB, "x")],
    // No packing makes this one fit through the link: the hub would close it.
    ["large", randomBytes(2 * MiB)],
  ]);
  const subjects = new Map([
    ["underscore", "cim.events._x.a1.Changed"],
    ["short", "cim.events.alone"],
    ["packs-well", "cim.events.person.a1.Drawn"],
    ["large", "cim.events.person.a1.Drawn"],
  ]);
  const refused = new Set(bodies.keys());
  const allKept = async () => {
    const { messages } = await readStream(leaf.natsUrl, "CIM_REFUSED");
    expect(messages.map(({ id }) => id).toSorted()).toEqual([...refused].toSorted());
    for (const { id, body, subject } of messages) {
      expect(body).toBe(bodyHash(bodies.get(id) as Buffer));
      const reason = id === "underscore" || id === "short" ? "bad-subject" : "too-large";
      expect(subject.startsWith(`cim.refused.${reason}.`), subject).toBe(true);
    }
    return true;
  };
  for (const [id, body] of bodies) {
    await fleet.write(leaf, 10);
    await publish(fleet, subjects.get(id) as string, body, id);
  }
  await fleet.write(leaf, 10);
  await fleet.settled({ refused });
  await eventually(allKept, { what: "the refused events in CIM_REFUSED" });
  await fleet.told("refused-events", "leaf1");
  const count = (labels?: Record<string, string>) => fleet.metric(fleet.hub, "cim_refused_total", labels);
  await eventually(async () => (await count({ reason: "bad-subject" })) === 2, { what: "two bad subjects" });
  await eventually(async () => (await count({ reason: "too-large" })) === 2, { what: "two too large" });
  // Asked again after a death of the agent, and of the coordinator, nothing is kept twice or forgotten.
  await leaf.kill("daemon");
  await fleet.hub.kill("daemon");
  await fleet.hub.start("daemon");
  await leaf.start("daemon");
  await fleet.write(leaf, 10);
  await fleet.settled({ refused });
  await eventually(allKept, { what: "the same refused events" });
  await fleet.told("refused-events", "leaf1");
  await eventually(async () => (await count()) === 4, { what: "four refused" });
});
