import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectNats } from "../../shared/nats/connect.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import { type Evidence, judge } from "../support/checker.ts";
import { type ReadStream, readStream, type Stored } from "../support/checker-read.ts";
import { Fleet } from "../support/fleet.ts";

/** The judge of all other fault tests must itself be able to fail. */

let fleet: Fleet;
let good: Evidence;

beforeAll(async () => {
  fleet = await Fleet.start({ leaves: 2 });
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 40, { domains: ["person", "orders"] })));
  good = await fleet.settled();
  for (const node of fleet.nodes) await node.finish("daemon");
  good = await fleet.evidence();
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

/** The nth event of a stream, control records not counted. */
function eventOf(stream: ReadStream, n: number): Stored {
  return stream.messages.filter(({ origin }) => origin)[n] as Stored;
}

function withMessages(stream: ReadStream, messages: Stored[]): ReadStream {
  return { ...stream, messages, said: messages.length };
}

async function deleteByHand(node: Fleet["hub"], streamSeq: number): Promise<void> {
  const seedFile = join(node.paths.data, "agent.nk");
  const nc = await connectNats({
    url: node.natsUrl,
    seedFile,
    name: "test hand",
    inboxPrefix: inboxPrefix(node.name),
  });
  await (await jetstreamManager(nc, { checkAPI: false })).streams.deleteMessage("CIM_EVENTS", streamSeq);
  await nc.close();
}

describe("the judge", () => {
  it("finds nothing in a fleet without fault", () => {
    expect(judge(good)).toEqual([]);
    expect(good.acknowledged).toHaveLength(120);
    expect(good.log.messages.filter(({ origin }) => origin)).toHaveLength(120);
  });

  it("turns red when one stored event is deleted from a copy by hand", async () => {
    const leaf = fleet.leaf("leaf2");
    const copy = good.copies.get("leaf2")?.stream as ReadStream;
    await deleteByHand(leaf, eventOf(copy, 7).streamSeq);
    const stream = await readStream(leaf.natsUrl, "CIM_EVENTS");
    const copies = new Map(good.copies).set("leaf2", { domains: ["*"], stream });
    expect(judge({ ...good, copies })).toEqual([
      expect.stringMatching(/^copy of leaf2: 1 missing, first .+ cim\.events\./),
    ]);
  });

  it("turns red when one stored event is deleted from the log by hand", async () => {
    const { streamSeq, id } = eventOf(good.log, 33);
    await deleteByHand(fleet.hub, streamSeq);
    const log = await readStream(fleet.hub.natsUrl, "CIM_EVENTS");
    const faults = judge({ ...good, log });
    expect(faults).toContainEqual(expect.stringMatching(/^log: index \d+ stands after \d+$/));
    expect(faults).toContainEqual(
      expect.stringMatching(new RegExp(`^log: .+ acknowledged event \\d+ \\(${id}\\) is missing$`)),
    );
    expect(faults).toContainEqual(expect.stringMatching(/^copy of leaf1: 1 not in the log/));
  });

  it("turns red at an event that is there twice, at another place, changed, or nobody's", () => {
    const { messages } = good.log;
    const event = eventOf(good.log, 20);
    const at = messages.indexOf(event);
    const changed = (messages: Stored[]) =>
      judge({ ...good, log: withMessages(good.log, messages) }).join("\n");
    expect(changed([...messages, event])).toMatch(/is there twice/);
    const later = messages.findIndex(({ origin }, i) => i > at && origin?.node === event.origin?.node);
    const swapped = messages.with(at, messages[later] as Stored).with(later, event);
    expect(changed(swapped)).toMatch(/log: \S+ 1\/\d+ stands after 1\/\d+ at/);
    expect(changed(messages.with(at, { ...event, body: "another" }))).toMatch(/is not what was written/);
    expect(changed(messages.with(at, { ...event, id: "foreign" }))).toMatch(/never written by anybody/);
    expect(judge({ ...good, acknowledged: good.acknowledged.slice(1) })).toEqual([
      expect.stringMatching(/never written by anybody/),
    ]);
  });

  it("turns red at a copy in another order or with one event too many, and at a store that hides one", () => {
    const stream = good.copies.get("leaf1")?.stream as ReadStream;
    const { messages } = stream;
    const [a, b] = [eventOf(stream, 3), eventOf(stream, 4)];
    const [i, k] = [messages.indexOf(a), messages.indexOf(b)];
    const copyFaults = (stream: ReadStream) =>
      judge({ ...good, copies: new Map(good.copies).set("leaf1", { domains: ["*"], stream }) }).join("\n");
    expect(copyFaults(withMessages(stream, messages.with(i, b).with(k, a)))).toMatch(
      /^copy of leaf1: .+ stands after .+, in the log before it/,
    );
    expect(copyFaults(withMessages(stream, [...messages, a]))).toMatch(/^copy of leaf1: 1 doubled/);
    expect(copyFaults({ ...stream, said: messages.length + 1 })).toMatch(/it says it has/);
  });
});
