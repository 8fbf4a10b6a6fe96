import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { headers } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { inboxPrefix, ingestSubject, statusSubject } from "../../shared/protocol/subjects.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

// nats-server checks what a client publishes to, not where it asks the answer to be sent. So whoever may ask anything can have something stored in the log or a copy. It must not stop anybody.

const LOG = "CIM_EVENTS";

async function asProgram(node: LabNode): Promise<NatsConnection> {
  return await connectNats({ url: node.natsUrl, name: "test program", inboxPrefix: "_INBOX" });
}

async function asDaemon(node: LabNode): Promise<NatsConnection> {
  return await connectNats({
    url: node.natsUrl,
    seedFile: join(node.paths.data, "agent.nk"),
    name: "test operator",
    inboxPrefix: inboxPrefix(node.name),
  });
}

type Misuse = (nc: NatsConnection, reply: string) => Promise<void> | void;

/** What a program may do on its node, with an answer that goes to a subject of the log. */
const MISUSES: readonly [string, Misuse][] = [
  ["an append's answer", (nc, reply) => nc.publish("cim.events.evil.a.Appended", "{}", { reply })],
  ["the names of streams", (nc, reply) => nc.publish("$JS.API.STREAM.NAMES", "", { reply })],
  [
    "a stored message",
    (nc, reply) =>
      nc.publish("$JS.API.DIRECT.GET.CIM_OUTBOX", '{"last_by_subj":"cim.events.evil.a.Forged"}', { reply }),
  ],
  [
    "an event with headers of the log, pulled",
    async (nc, reply) => {
      const config = { ack_policy: "none", deliver_policy: "last", inactive_threshold: 60e9 };
      const body = { stream_name: "CIM_OUTBOX", config };
      const { name } = await jetStreamApi<{ name: string }>(nc, "CONSUMER.CREATE.CIM_OUTBOX", body);
      nc.publish(`$JS.API.CONSUMER.MSG.NEXT.CIM_OUTBOX.${name}`, '{"batch":1}', { reply });
    },
  ],
  [
    "its own answer to its own question",
    async (nc, reply) => {
      const asked = new Promise((resolve) => {
        nc.subscribe("cim.queries.evil", {
          max: 1,
          callback: (_, message) => resolve(message.respond("no")),
        });
      });
      nc.publish("cim.queries.evil", "", { reply });
      await asked;
    },
  ],
];

/** Stores an event that says it is of the log, then has all kinds of answers stored where they do not belong. */
async function misuse(node: LabNode): Promise<void> {
  const nc = await asProgram(node);
  try {
    const forged = headers();
    forged.set("Cim-Log", "7-evil.9");
    forged.set("Cim-Origin", "leaf1 1 e 999");
    for (const [what, ask] of MISUSES) {
      await nc.request("cim.events.evil.a.Forged", "{}", { timeout: 20_000, headers: forged });
      for (const reply of ["cim.log.evil.a.Stored", "cim.log._cim.marks", "cim.log._cim.reign"]) {
        const before = await streamState(nc, LOG);
        await ask(nc, reply);
        await eventually(async () => (await streamState(nc, LOG)).last_seq > before.last_seq, {
          what: `${what} as ${reply} in ${node.name}'s stream`,
        });
      }
    }
  } finally {
    await nc.close();
  }
}

async function evilIn(node: LabNode): Promise<number> {
  const { messages } = await readStream(node.natsUrl, LOG);
  return messages.filter(({ log, subject }) => log?.reign === "7-evil" || (!log && !subject.endsWith("copy")))
    .length;
}

it("steps over what programs and leaves have stored in the log and in copies, and says so", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 20)));
  await fleet.settled();
  await misuse(fleet.hub);
  await misuse(two);
  // A leaf that means harm asks over its link.
  const leaf = await asDaemon(one);
  const hub = await asDaemon(fleet.hub);
  const before = await streamState(hub, LOG);
  leaf.publish("$JS.hub.API.STREAM.INFO.CIM_EVENTS", "", { reply: "cim.log.evil.a.Info" });
  await eventually(async () => (await streamState(hub, LOG)).last_seq > before.last_seq, {
    what: "the hub's answer in its log",
  });
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 20)));
  await fleet.settled({ unacknowledged: ({ subject }) => subject.startsWith("cim.events.evil.") });
  for (const node of fleet.nodes) expect(await evilIn(node), node.name).toBe(0);
  expect(await fleet.told("log-foreign")).toMatchObject({ text: expect.stringContaining("cim.events.") });
  expect(await fleet.told("copy-foreign", "leaf2")).toBeDefined();
  expect(await fleet.metric(fleet.hub, "cim_foreign_total")).toBeGreaterThan(0);
  await Promise.all([leaf.close(), hub.close()]);
});

it("answers nobody on a subject of a stream", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const one = fleet.leaf("leaf1");
  const program = await asProgram(one);
  const leaf = await asDaemon(one);
  const ask = () => program.request(statusSubject("leaf1"), "", { timeout: 1000 });
  await eventually(ask, { what: "the agent's answer" });
  const before = await streamState(program, LOG);
  program.publish(statusSubject("leaf1"), "", { reply: "cim.log.evil.a.Status" });
  leaf.publish(ingestSubject("leaf1"), "no request", { reply: "cim.log.evil.a.Ingest" });
  // Later questions that were answered: the earlier ones would have been.
  await eventually(ask);
  await eventually(() => leaf.request(ingestSubject("leaf1"), "no request", { timeout: 1000 }));
  const hub = await asDaemon(fleet.hub);
  for (const nc of [program, hub]) {
    const { messages } = await readStream(nc.getServer(), LOG);
    expect(messages.filter(({ subject }) => subject.startsWith("cim.events.evil."))).toEqual([]);
  }
  expect(before.last_seq).toBeGreaterThan(0);
  await Promise.all([program.close(), leaf.close(), hub.close()]);
});

it("goes on by itself when an operator has cut a log that could not be read", async () => {
  await using fleet = await Fleet.start({ leaves: 1 });
  const { hub } = fleet;
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 30)));
  await fleet.settled();
  await hub.kill("daemon");
  const nc = await asDaemon(hub);
  const remove = (seq: number) => jetStreamApi(nc, `STREAM.MSG.DELETE.${LOG}`, { seq, no_erase: true });
  const { messages } = await readStream(hub.natsUrl, LOG);
  const events = messages.filter(({ subject }) => !subject.startsWith("cim.events._cim."));
  const gap = events[20]?.streamSeq ?? 0;
  await remove(gap);
  // Or a start would not read so far back.
  for (const { subject, streamSeq } of messages)
    if (subject === "cim.events._cim.marks") await remove(streamSeq);
  await hub.start("daemon");
  await fleet.told("log-unreadable");
  for (const { subject, streamSeq } of messages.toReversed())
    if (streamSeq > gap && subject !== "cim.events._cim.marks") await remove(streamSeq);
  await eventually(async () => (await fleet.status()).leads, { what: "a log that goes on" });
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 10)));
  await fleet.settled();
  const { conditions } = await fleet.status();
  expect(conditions.map(({ code }) => code)).not.toContain("log-unreadable");
  await nc.close();
});
