import { readFile } from "node:fs/promises";
import { jetstream } from "@nats-io/jetstream";
import { expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import type { ConfigDocument } from "../../shared/config/index.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { readNodeContracts } from "../../shared/nats/node-contracts.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";

type Contracts = NonNullable<ConfigDocument["contracts"]>;

const first: Contracts = {
  stock: { resolver: "crdt", fields: { count: "counter" } },
  notes: { subscribers: ["leaf1"] },
};

/** The subjects of a stream's events of some domains. */
async function subjectsOf(node: LabNode, stream: "CIM_EVENTS" | "CIM_REFUSED"): Promise<string[]> {
  return (await readStream(node.natsUrl, stream)).messages
    .map(({ subject }) => subject)
    .filter((subject) => !subject.startsWith("cim.events._cim."));
}

async function published(node: LabNode): Promise<unknown> {
  await using nc = await connectNats({ url: node.natsUrl, name: "test" });
  return await readNodeContracts(nc);
}

it("a fleet replicates by its contracts, and changes them without a loss", async () => {
  let contracts: Readonly<Record<string, Contracts>> = { hub: first, leaf1: first, leaf2: first };
  const configure = (document: ConfigDocument): ConfigDocument => ({
    ...document,
    contracts: contracts[document.node] ?? {},
  });
  const reconfigure = async (change: Readonly<Record<string, Contracts>>) => {
    contracts = { ...contracts, ...change };
    await fleet.lab.reconfigure({ configure });
  };
  await using fleet = await Fleet.start({ leaves: 2, configure });
  const [leaf1, leaf2] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await using nc = await connectNats({ url: leaf1.natsUrl, name: "test" });
  // Without the library, which would have refused it.
  const publish = (subject: string, data: string) => jetstream(nc).publish(subject, data);
  await publish("cim.events.stock.a1.Counted", '{"count":"two"}');
  await publish("cim.events.stock.a1.Counted", '{"count":2}');
  await publish("cim.events.notes.n1.Written", "{}");
  await publish("cim.events.person.p1.Created", "{}");

  // Typed data is judged at the hub, and what is wrong stays at its origin with the reason.
  const refused = await eventually(
    async () => {
      const subjects = await subjectsOf(leaf1, "CIM_REFUSED");
      return subjects.length > 0 && subjects;
    },
    { what: "the refused event at its origin" },
  );
  expect(refused).toEqual(["cim.refused.wrong-contract.stock.a1.Counted.1.1"]);
  await fleet.told("refused-events", "leaf1");

  // Notes are of leaf1 alone; what has no contract is not followed by whom one leaves out.
  await eventually(async () => (await subjectsOf(leaf1, "CIM_EVENTS")).length === 3, {
    what: "all that the log took, in the copy of leaf1",
  });
  await eventually(async () => (await subjectsOf(leaf2, "CIM_EVENTS")).length === 1, {
    what: "its domain in the copy of leaf2",
  });
  expect(await subjectsOf(leaf2, "CIM_EVENTS")).toEqual(["cim.events.stock.a1.Counted"]);
  expect(await published(leaf2)).toMatchObject({ domains: { stock: { resolver: "crdt" } } });

  // A safe change is taken by a reload; until all have it the hub names who has not.
  const wider: Contracts = { ...first, notes: {}, orders: { mode: "strong" } };
  await reconfigure({ hub: wider, leaf2: wider });
  const differing = async () =>
    (await fleet.status()).conditions
      .filter(({ code }) => code === "contracts-differ")
      .map(({ text = "" }) => text);
  await eventually(
    async () => (await differing()).some((text) => text.startsWith("leaf1 has other contracts")),
    { what: "leaf1 named" },
  );
  await reconfigure({ leaf1: wider });
  await eventually(async () => (await subjectsOf(leaf2, "CIM_EVENTS")).length === 3, {
    what: "the notes filled into the copy of leaf2",
  });
  await eventually(async () => (await differing()).length === 0, { what: "nodes that agree" });

  // One that is not safe is refused by the daemon that runs, and by one that starts, with what to write.
  const weaker: Contracts = { ...wider, stock: { resolver: "last-write-wins" } };
  await reconfigure({ leaf1: weaker });
  const word = await eventually(
    async () => {
      const log = await readFile(leaf1.paths.daemonLog, "utf8");
      const line = log.split("\n").find((one) => one.startsWith("cim-agent: not reloaded: "));
      expect(line).toMatch(/contracts\.stock\.resolver: was "crdt" and is now "last-write-wins": .*; write /);
      return /"replaces": "([0-9a-f]{16})"/.exec(line ?? "")?.[1];
    },
    { what: "the refusal in the agent's log" },
  );
  expect(await published(leaf1)).toMatchObject({ domains: { stock: { resolver: "crdt" } } });
  await leaf1.kill("daemon");
  await expect(leaf1.start("daemon")).rejects.toThrow(/can't be changed like this: contracts\.stock\./);
  await publish("cim.events.stock.a2.Counted", '{"count":3}');

  // With the word that it gave, every node takes it, and what was written meanwhile arrives.
  const meant: Contracts = { ...wider, stock: { resolver: "last-write-wins", replaces: word } };
  await reconfigure({ hub: meant, leaf1: meant, leaf2: meant });
  await leaf1.start("daemon");
  await publish("cim.events.stock.a3.Counted", '{"count":"three"}');
  for (const leaf of [leaf1, leaf2]) {
    await eventually(
      async () => (await subjectsOf(leaf, "CIM_EVENTS")).includes("cim.events.stock.a3.Counted"),
      { what: `what is right by the new contract, on ${leaf.name}` },
    );
    expect(await subjectsOf(leaf, "CIM_EVENTS")).toContain("cim.events.stock.a2.Counted");
    expect(await published(leaf)).toMatchObject({ domains: { stock: { resolver: "last-write-wins" } } });
  }
});
