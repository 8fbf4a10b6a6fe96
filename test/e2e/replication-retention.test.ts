import { expect, it } from "vitest";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { purgeLog } from "../support/purge-log.ts";

const MARKS = "cim.events._cim.marks";
const isFence = (subject: string) => subject.startsWith("cim.events._cim.fence.");

it("purges the log behind its marks alone; counters, lanes and copies go on, and who is too far behind says so", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const { hub } = fleet;
  const [one, two] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await Promise.all([fleet.write(hub, 30), fleet.write(one, 30), fleet.write(two, 10)]);
  await fleet.settled();
  await two.kill();
  await fleet.write(one, 40);
  // Some time without events, and the marks are written: behind them the log may go.
  const before = await eventually(async () => {
    const log = await readStream(hub.natsUrl, "CIM_EVENTS");
    const last = log.messages.at(-1);
    return (await fleet.status()).log.events === 110 && last?.subject === MARKS && log;
  });
  await fleet.write(hub, 5);
  // The reign's fence stays, or it could write no more; so it is the next reign that lets go of what was before it.
  await purgeLog(fleet.hub);
  expect((await readStream(hub.natsUrl, "CIM_EVENTS")).messages.some(({ subject }) => isFence(subject))).toBe(
    true,
  );
  await fleet.write(one, 5);
  const reign = before.messages.at(-1)?.log?.reign;
  await eventually(async () => (await fleet.status()).log.events === 120);
  expect((await fleet.status()).reign).toBe(reign);
  await hub.kill("daemon");
  await hub.start("daemon");
  expect(await purgeLog(fleet.hub)).toBeGreaterThan(0);
  const after = await readStream(hub.natsUrl, "CIM_EVENTS");
  expect(after.messages[0]?.subject).toBe(MARKS);
  const left = new Set(after.messages.map(({ id }) => id));
  const lost = new Set(before.messages.filter(({ origin }) => origin).map(({ id }) => id));
  for (const id of left) lost.delete(id);
  expect(lost.size).toBe(110);
  // Who comes back from before the log's start is filled anew, and says so.
  await two.start();
  await fleet.told("copy-behind-log-start", "leaf2");
  await Promise.all(fleet.nodes.map((node) => fleet.write(node, 10)));
  await fleet.settled({ purged: true, lost });
  // All that a sequencer knows of the past is in the marks.
  await hub.kill("daemon");
  await hub.start("daemon");
  await fleet.write(one, 10);
  const { log } = await fleet.settled({ purged: true, lost });
  await eventually(async () => (await fleet.metric(hub, "cim_events_processed_total")) === 160);
  expect(new Set(log.messages.map(({ origin }) => origin?.incarnation ?? 1))).toEqual(new Set([1]));
});
