import { setTimeout as sleep } from "node:timers/promises";
import type { LinkProxy } from "../lab/link-proxy.ts";
import { Arm, type ArmKind } from "./support/arms.ts";
import { writeBacklog } from "./support/backlog.ts";
import { type Figure, progress, report } from "./support/figures.ts";
import { appendSteadily, LiveReader, liveTimes } from "./support/live-load.ts";
import { readOptions } from "./support/options.ts";
import { readableAt } from "./support/waiting.ts";

const USAGE = `
npm run bench -- bytes [--events 100000] [--seconds 20] [--rate 1000] [--quick] [--json]

Bytes on the link per event, counted by the lab's link (TCP payload, both servers' pings and cim's heartbeats included),
JSON of 250 bytes with a few values that repeat, and 30 bytes of chance each (reference, amount, id). Up: from the leaf's outbox into the
hub's log. Down: from the log into another leaf's copy. Each with the bytes that go the other way for it. "live": 1,000
events a second; "backlog": what waited while the link was cut.
The link's own compression is off for both, which is nats-server's choice below 10 ms of round trip (s2_auto); once more
with s2_fast for both, as on a slower link.
`;

const options = readOptions(USAGE, { values: ["events", "seconds", "rate"] });
const events = options.number("events", options.quick ? 20_000 : 100_000);
const seconds = options.number("seconds", options.quick ? 4 : 20);
const ratePerS = options.number("rate", 1000);
const DOMAIN = "orders";
const TIMEOUT_MS = 300_000;

interface PerEvent {
  /** On the link of the leaf that writes: to the hub, and back. */
  readonly up: { readonly data: number; readonly back: number };
  /** On the link of the leaf that copies: to the leaf, and back. */
  readonly down: { readonly data: number; readonly back: number };
}

const results: Record<string, { live: PerEvent; backlog: PerEvent }> = {};
for (const kind of ["cim", "bare"] as const) {
  for (const compression of ["off", "s2_fast"]) {
    const name = `${kind} ${compression}`;
    const result = await measure(kind, compression);
    results[name] = result;
    progress(`${name}: ${JSON.stringify(result)}`);
  }
}
const GOAL = { live: 0.5, backlog: 0.25 } as const;
report(`bytes on the link per event of 250 B`, figures(), { json: options.json, details: results });

function figures(): Figure[] {
  const lines: Figure[] = [];
  for (const when of ["live", "backlog"] as const) {
    for (const compression of ["off", "s2_fast"]) {
      const cim = (results[`cim ${compression}`] as { live: PerEvent; backlog: PerEvent })[when];
      const bare = (results[`bare ${compression}`] as { live: PerEvent; backlog: PerEvent })[when];
      const link = compression === "off" ? "link off" : "link s2";
      const line = (what: string, of: (one: PerEvent) => number) =>
        lines.push({ what: `${when}, ${link}: ${what}`, unit: "B", cim: of(cim), bare: of(bare) });
      line("up, to the hub", ({ up }) => up.data);
      line("up, both ways", ({ up }) => up.data + up.back);
      line("down, to the leaf", ({ down }) => down.data);
      line("down, both ways", ({ down }) => down.data + down.back);
      line("up and down", ({ up, down }) => up.data + up.back + down.data + down.back);
    }
    const plain = (results["bare off"] as { live: PerEvent; backlog: PerEvent })[when];
    for (const name of ["cim off", "cim s2_fast", "bare s2_fast"]) {
      const one = (results[name] as { live: PerEvent; backlog: PerEvent })[when];
      const ratio = (of: (one: PerEvent) => number) => of(one) / of(plain);
      const isCim = name === "cim off";
      lines.push(
        {
          what: `${when}: ${name} of bare off, up`,
          unit: "",
          cim: ratio(({ up }) => up.data + up.back),
          ...(isCim && { goal: { most: GOAL[when] } }),
        },
        {
          what: `${when}: ${name} of bare off, down`,
          unit: "",
          cim: ratio(({ down }) => down.data + down.back),
        },
      );
    }
  }
  return lines;
}

/** leaf1 writes and copies nothing, leaf2 copies and writes nothing, so that each link carries one direction. */
async function measure(kind: ArmKind, compression: string): Promise<{ live: PerEvent; backlog: PerEvent }> {
  await using arm = await Arm.start(kind, { leaves: 2, copies: ["leaf2"], compression, unsourced: true });
  const links = [arm.lab.link("leaf1"), arm.lab.link("leaf2")] as const;
  const hub = await arm.connect(arm.hub);
  const leaf2 = await arm.connect(arm.leaf(2));
  if (kind === "bare") {
    await arm.source();
    await arm.mirror(arm.leaf(2));
  }
  await sleep(1000);
  const count = seconds * ratePerS;
  const times = liveTimes(count);
  const live = await counted(links, count, async () => {
    await using reader = await LiveReader.start(leaf2, DOMAIN, times);
    const reading = reader.readAll(count);
    await appendSteadily(arm.leaf(1), times, { ratePerS, from: 0, to: count, domain: DOMAIN });
    await reading;
  });
  await links[0].set({ state: "down" });
  const last = await writeBacklog(arm.leaf(1), events, "late");
  const backlog = await counted(links, events, async () => {
    await links[0].set({ state: "up" });
    await readableAt(hub, last, { timeoutMs: TIMEOUT_MS, everyMs: 50 });
    await readableAt(leaf2, last, { timeoutMs: TIMEOUT_MS, everyMs: 50 });
  });
  return { live, backlog };
}

async function counted(
  [up, down]: readonly [LinkProxy, LinkProxy],
  count: number,
  work: () => Promise<void>,
): Promise<PerEvent> {
  const [upBefore, downBefore] = [up.bytes, down.bytes];
  await work();
  const [upAfter, downAfter] = [up.bytes, down.bytes];
  const each = (after: number, before: number) => +((after - before) / count).toFixed(1);
  return {
    up: {
      data: each(upAfter.toHub, upBefore.toHub),
      back: each(upAfter.toLeaf, upBefore.toLeaf),
    },
    down: {
      data: each(downAfter.toLeaf, downBefore.toLeaf),
      back: each(downAfter.toHub, downBefore.toHub),
    },
  };
}
