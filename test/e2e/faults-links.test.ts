import { expect, it } from "vitest";
import { type LinkCondition, parseLinkCondition } from "../../lab/link-condition.ts";
import { readStream } from "../support/checker-read.ts";
import { eventually } from "../support/eventually.ts";
import { Fleet } from "../support/fleet.ts";
import { Load } from "../support/load.ts";

/** Links that are cut, silent, lossy, slow and narrow, under load. */

it("brings everything over, exactly once, whatever a link did under load", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const loads = await Promise.all(
    fleet.nodes.map((node) => new Load(node, { ledger: fleet.ledger, ratePerS: 60, padding: 200 }).start()),
  );
  for (const load of loads) fleet.use(load);
  const through = async (condition: LinkCondition, acknowledged: number) => {
    const before = loads.map((load) => load.acknowledged);
    await fleet.lab.link("leaf1").set(condition);
    // Writers do not notice: an outbox is local.
    await eventually(
      () => loads.every((load, i) => load.acknowledged >= (before[i] as number) + acknowledged),
      {
        timeoutMs: 90_000,
        what: `writers at work during ${JSON.stringify(condition)}`,
      },
    );
  };
  for (const words of ["down", "up", "down", "stall=20%", "delay=300ms", "rate=256kbit,delay=50ms", "up"])
    await through(parseLinkCondition(words), 40);
  // Long enough for the servers' pings to give the link up.
  await fleet.lab.link("leaf1").set({ state: "blackhole" });
  await eventually(async () => (await fleet.conditionsOf(fleet.leaf("leaf1"))).includes("link-down"), {
    timeoutMs: 90_000,
    what: "a silent link that is found out",
  });
  // Held bytes of a connection that both sides have given up arrive now.
  await through({ state: "up" }, 40);
  await Promise.all(loads.map((load) => load.stop()));
  const { log } = await fleet.settled();
  expect(new Set(log.messages.map(({ origin }) => origin?.incarnation ?? 1))).toEqual(new Set([1]));
});

it("a leaf with a day's backlog does not keep a live one waiting", async () => {
  await using fleet = await Fleet.start({ leaves: 2 });
  const [busy, live] = [fleet.leaf("leaf1"), fleet.leaf("leaf2")];
  await fleet.lab.link("leaf1").set({ state: "down" });
  const backlog = 12_000;
  await fleet.write(busy, backlog, { window: 512 });
  const marks = async () => {
    const reply = await fetch(`${fleet.hub.httpUrl}/api/v1/replication`);
    const { origins } = (await reply.json()) as { origins: { node: string; logged: number }[] };
    const logged = (name: string) => origins.find(({ node }) => node === name)?.logged ?? 0;
    return { busy: logged("leaf1"), live: logged("leaf2") };
  };
  const load = fleet.use(await new Load(live, { ledger: fleet.ledger, ratePerS: 200 }).start());
  await eventually(async () => (await marks()).live > 20);
  await fleet.lab.link("leaf1").set({ state: "up" });
  // While the backlog comes in, what is live goes on: half of the backlog is not in before any of the live ones are.
  const seen: { busy: number; live: number }[] = [];
  await eventually(
    async () => {
      const now = await marks();
      seen.push(now);
      return now.busy === backlog;
    },
    { timeoutMs: 120_000, everyMs: 5, what: "the backlog in the log" },
  );
  const during = seen.filter(({ busy }) => busy > 0 && busy < backlog);
  const first = during[0]?.live ?? 0;
  console.log(
    `live events logged while the backlog came in: ${(during.at(-1)?.live ?? 0) - first}, looks ${during.length}`,
  );
  await load.stop();
  const { log } = await fleet.settled({ timeoutMs: 120_000 });
  // By the log itself: how much of the backlog was taken while a live event waited. Where all of it goes first, that is
  // half of it for the median of these events; what one of them waits when the machine stands still says nothing.
  const entries = log.messages.flatMap(({ origin, headers }) => {
    const [storedUs = 0, takenUs = 0] = (headers.get("Cim-Time") ?? "").split(" ").map(Number);
    return origin ? [{ node: origin.node, storedUs, takenUs }] : [];
  });
  const taken = entries.filter(({ node }) => node === "leaf1").map(({ takenUs }) => takenUs);
  const overtaken = entries
    .filter(({ node, storedUs }) => node === "leaf2" && storedUs > (taken[0] ?? 0))
    .filter(({ storedUs }) => storedUs < (taken.at(-1) ?? 0))
    .map(({ storedUs, takenUs }) => taken.filter((atUs) => atUs > storedUs && atUs < takenUs).length)
    .toSorted((a, b) => a - b);
  const median = overtaken[overtaken.length >> 1] ?? Number.NaN;
  console.log(`${overtaken.length} live events, overtaken by ${median} of ${backlog} in the median`);
  expect(median).toBeLessThan(backlog / 4);
  expect((await readStream(live.natsUrl, "CIM_EVENTS")).messages.length).toBeGreaterThan(backlog);
});
