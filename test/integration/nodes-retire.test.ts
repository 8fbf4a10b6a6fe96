import { expect, it } from "vitest";
import { LaneHistory } from "../../shared/consistency/clock/lane-history.ts";
import { readStateCheckpoint } from "../../shared/follow/read-state.ts";
import type { IngestReply, IngestRequest } from "../../shared/protocol/messages.ts";
import { NOTHING_YET } from "../../shared/protocol/origin.ts";
import { ingestSubject } from "../../shared/protocol/subjects.ts";
import { cim } from "../support/cim-command.ts";
import { eventually } from "../support/eventually.ts";
import { startHubCoordinator } from "../support/hub-coordinator.ts";

const PATIENCE = { timeoutMs: 60_000 };

it("cim nodes retire writes into the log that a node is gone, unless it is still listed; it may come back", async () => {
  const listed = { staticNodes: [{ name: "leaf1", url: "nats://127.0.0.1:1" }] };
  await using hub = await startHubCoordinator({ discovery: listed });
  const { url, agentSeedFile } = hub.nats.config("hub").nats;
  const retire = (node: string) =>
    cim(["nodes", "retire", node, "--server", url, "--seed-file", agentSeedFile]);
  const nc = await hub.nats.connect("hub", "agent");
  const ask = async (request: IngestRequest): Promise<IngestReply> =>
    (await nc.request(ingestSubject("leaf1"), JSON.stringify(request), { timeout: 10_000 })).json();
  const hello = () => ask({ op: "hello", version: 1, seen: null, outbox: { first: 1, last: 0 } });
  const retiredNow = async () => {
    const lanes = (await readStateCheckpoint(nc))?.lanes;
    return lanes === undefined ? "no states" : [...LaneHistory.decode(lanes).retiredAt(2 ** 51)].join();
  };

  const greeted = await eventually(
    async () => {
      const reply = await hello();
      return reply.kind === "lane" && reply;
    },
    { ...PATIENCE, what: "that it leads" },
  );
  const begun = await ask({ op: "incarnate", reign: greeted.reign, predecessor: 0, common: NOTHING_YET });
  expect(begun).toMatchObject({ kind: "lane", incarnation: 1 });

  expect(await retire("Leaf 1")).toMatchObject({ code: 2 });
  expect(await retire("leaf1")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/leaf1 is still listed by static: take/),
  });
  await hub.reload({ discovery: { staticNodes: [] } });
  expect(await retire("leaf9")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/nothing of a node "leaf9"; it knows .*leaf1/),
  });
  expect(await retire("hub")).toMatchObject({ code: 1, stderr: expect.stringMatching(/hub is the hub/) });

  expect(await retire("leaf1")).toMatchObject({ code: 0, stdout: "leaf1 is retired\n" });
  await eventually(async () => (await retiredNow()) === "leaf1", {
    ...PATIENCE,
    what: "that states know it",
  });
  expect(await hello()).toMatchObject({ kind: "lane", incarnation: 2, mark: NOTHING_YET });
  await eventually(async () => (await retiredNow()) === "", {
    ...PATIENCE,
    what: "that states know it is back",
  });
});
