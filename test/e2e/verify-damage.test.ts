import { join } from "node:path";
import { connect, headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LabNode } from "../../lab/lab-node.ts";
import { cim } from "../support/cim-command.ts";
import { Damage } from "../support/damage.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { pairOf, provenInSync, type VerifyOutcome, verify } from "../support/verified.ts";

let fleet: Fleet;

beforeAll(async () => {
  fleet = await Fleet.start({
    leaves: 2,
    // Nothing is found by the scrub here: what is looked for was planted a moment ago.
    configure: (document) => ({ ...document, proof: { checkS: 1, scrubS: 86_400 } }),
  });
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 50)));
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

const bodyOf = (id: string) => `{"text":"body of ${id}"}`;

/** Events with bodies of their own, in the log and in both copies. */
async function plant(node: LabNode, ...ids: string[]): Promise<void> {
  const nc = await connect({ servers: node.natsUrl });
  try {
    for (const id of ids) {
      const head = headers();
      head.set("Nats-Msg-Id", id);
      await nc.request("cim.events.person.p1.Renamed", bodyOf(id), { headers: head, timeout: 20_000 });
    }
  } finally {
    await nc.close();
  }
}

/** What is named of a node: kinds and ids, in the order of their places. */
function named(outcome: VerifyOutcome, node: string, of: "copy" | "outbox"): string[] {
  const { difference } = pairOf(outcome, node, of);
  return difference?.events?.map(({ kind, id }) => `${kind} ${id}`) ?? [];
}

it("finds and names what was deleted, doubled, edited or flipped in copies and outboxes", async () => {
  const { hub } = fleet;
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await plant(one, "deleted", "edited", "flipped");
  await plant(two, "deleted-in-outbox", "flipped-in-outbox");
  await plant(hub, "doubled");
  const before = await provenInSync(hub, "--deep");
  expect(before.code).toBe(0);
  await using onOne = await Damage.on(one);
  await using onTwo = await Damage.on(two);

  await onOne.deleteEvent("CIM_EVENTS", "deleted");
  const edited = await onOne.find("CIM_EVENTS", "edited");
  await onOne.deleteEvent("CIM_EVENTS", "edited");
  await onOne.flipByte("CIM_EVENTS", bodyOf("flipped"));
  await onTwo.store(await onTwo.find("CIM_EVENTS", "doubled"));
  await onTwo.deleteEvent("CIM_OUTBOX", "deleted-in-outbox");
  await onTwo.flipByte("CIM_OUTBOX", bodyOf("flipped-in-outbox"));
  // What is missing and what is there twice shows in the sums that are kept anyway.
  const plain = await verify(hub);
  expect(plain.code).toBe(1);
  for (const [node, of] of [
    ["leaf1", "copy"],
    ["leaf2", "copy"],
    ["leaf2", "outbox"],
  ] as const)
    expect(pairOf(plain, node, of)).toMatchObject({ state: "diverged" });
  expect(pairOf(plain, "leaf1", "outbox").state).toBe("in-sync");
  expect(pairOf(plain, "hub", "outbox").state).toBe("in-sync");
  await fleet.told("diverged");

  await onOne.store(edited, Buffer.from('{"text":"another"}'));
  const deep = await verify(hub, "--deep");
  expect(deep.code).toBe(1);
  const copy = named(deep, "leaf1", "copy");
  expect(copy).toContain("missing deleted");
  expect(copy).toContain("changed edited");
  expect(copy).toContain("changed flipped");
  expect(named(deep, "leaf2", "copy")).toContain("twice doubled");
  expect(named(deep, "leaf2", "outbox")).toEqual(["missing deleted-in-outbox", "changed flipped-in-outbox"]);
  expect(pairOf(deep, "leaf1", "outbox").state).toBe("in-sync");

  // A copy is filled again from the log, and agrees with it then in every byte.
  for (const node of ["leaf1", "leaf2"]) {
    const access = ["--server", hub.natsUrl, "--seed-file", join(hub.paths.data, "agent.nk")];
    await cim(["verify", "--json", "--http", hub.httpUrl, "--repair", node, ...access]);
    const repaired = await eventually(async () => {
      const copy = pairOf(await verify(hub, "--deep"), node, "copy");
      return copy.state === "in-sync" && copy;
    });
    expect(repaired.compared?.look).toBe("content");
  }
});

it("finds what was deleted and flipped in the log, and says that it is the log", async () => {
  const { hub } = fleet;
  await plant(hub, "deleted-in-log", "flipped-in-log");
  await eventually(async () => {
    const outcome = await verify(hub, "--deep");
    return ["leaf1", "leaf2"].every((node) => pairOf(outcome, node, "copy").state === "in-sync");
  });
  await using damage = await Damage.on(hub);
  await damage.flipByte("CIM_EVENTS", bodyOf("flipped-in-log"));
  const flipped = await verify(hub, "--deep");
  for (const node of ["leaf1", "leaf2"]) {
    expect(named(flipped, node, "copy")).toEqual(["changed flipped-in-log"]);
    expect(pairOf(flipped, node, "copy").difference?.side).toBe("log");
  }
  expect(named(flipped, "hub", "outbox")).toEqual(["changed flipped-in-log"]);

  await damage.deleteEvent("CIM_EVENTS", "deleted-in-log");
  const deleted = await verify(hub, "--deep");
  expect(deleted.code).toBe(1);
  // The copies have one that the log has not any more.
  for (const node of ["leaf1", "leaf2"]) {
    expect(named(deleted, node, "copy")).toContain("extra deleted-in-log");
    expect(pairOf(deleted, node, "copy").difference?.side).toBe("log");
  }
  expect(named(deleted, "hub", "outbox")).toContain("extra deleted-in-log");
  // A copy may be all that is left of it: it is not let go of.
  const access = ["--server", hub.natsUrl, "--seed-file", join(hub.paths.data, "agent.nk")];
  const refused = await cim(["verify", "--http", hub.httpUrl, "--repair", "leaf1", ...access]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("it is the log") });
});
