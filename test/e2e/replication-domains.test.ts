import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import type { ConfigDocument } from "../../shared/config/index.ts";
import type { Evidence } from "../support/checker.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

const DOMAINS = ["person", "orders", "billing"];

it("a change of sync.domains fills and drops only what changed", async () => {
  let domains: readonly string[] = ["person"];
  const configure = (document: ConfigDocument): ConfigDocument =>
    document.role === "leaf" ? { ...document, sync: { domains: [...domains] } } : document;
  await using fleet = await Fleet.start({ leaves: 1, configure });
  const leaf = fleet.leaf("leaf1");
  const write = () => Promise.all(fleet.nodes.map((node) => fleet.write(node, 30, { domains: DOMAINS })));
  const settled = () => fleet.settled({ copies: { leaf1: { domains, filledIn: true } } });
  await write();
  const first = await fleet.settled({ copies: { leaf1: { domains } } });
  expect(placesOf(first, "person").length).toBe(20);

  domains = ["person", "orders"];
  await fleet.lab.reconfigure({ configure });
  await write();
  const second = await settled();
  expect(placesOf(second, "person")).toEqual(expect.arrayContaining(placesOf(first, "person")));
  expect(placesOf(second, "orders").length).toBe(40);

  // One goes, one comes, and the agent dies while it is at it.
  domains = ["orders", "billing"];
  await fleet.lab.reconfigure({ configure });
  await leaf.kill("daemon");
  await leaf.start("daemon");
  const third = await settled();
  expect(placesOf(third, "orders")).toEqual(placesOf(second, "orders"));
  expect(placesOf(third, "person")).toEqual([]);

  // Under load, so that what is filled in has to meet what is followed.
  domains = ["*"];
  const writing = Promise.all(
    fleet.nodes.map((node) => fleet.write(node, 600, { domains: DOMAINS, ratePerS: 600 })),
  );
  await fleet.lab.reconfigure({ configure });
  await writing;
  const fourth = await settled();
  expect(placesOf(fourth, "orders")).toEqual(expect.arrayContaining(placesOf(second, "orders")));
  expect(placesOf(fourth, "billing")).toEqual(expect.arrayContaining(placesOf(third, "billing")));
  expect(placesOf(fourth, "person").length).toBe(440);
});

it("with CIM_SYNC_ENABLED=false a leaf ships its outbox and follows nothing", async () => {
  await using fleet = await Fleet.start({ leaves: 1, env: { ...process.env, CIM_SYNC_ENABLED: "false" } });
  const leaf = fleet.leaf("leaf1");
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 30)));
  await fleet.settled({ copies: { leaf1: null } });
  const nc = await connect({ servers: leaf.natsUrl });
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  await expect(jsm.streams.info("CIM_EVENTS")).rejects.toThrow(/stream not found/);
  await nc.close();
  const heartbeat = await eventually(async () => {
    const reply = await fetch(`${fleet.hub.httpUrl}/api/v1/nodes/leaf1`);
    const { heartbeat } = (await reply.json()) as { heartbeat: { copy: unknown } | null };
    return heartbeat ?? undefined;
  });
  expect(heartbeat).toMatchObject({ copy: null });
});

/** Where in the copy's stream the events of a domain stand, and which they are. */
function placesOf({ copies }: Evidence, domain: string): string[] {
  const messages = copies.get("leaf1")?.stream.messages ?? [];
  return messages
    .filter(({ subject }) => subject.startsWith(`cim.events.${domain}.`))
    .map(({ streamSeq, id }) => `${streamSeq} ${id}`);
}
