import type { NatsConnection } from "@nats-io/transport-node";
import { type Handling, handleCommands } from "../shared/client/commands/handle-commands.ts";
import { KeptRoutes } from "../shared/client/commands/kept-routes.ts";
import { sendCommand } from "../shared/client/commands/send-command.ts";
import { Arm, type ArmKind } from "./support/arms.ts";
import { type Figure, median, progress, report, type Spread, spreadOf } from "./support/figures.ts";
import { type Moleculer, startMoleculer } from "./support/moleculer.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- command [--seconds 1] [--rounds 15] [--under-way 64] [--moleculer] [--quick] [--json]

A command from a program on leaf1 that a program on leaf2 answers, over the real way: leaf1's server, the hub's, the
coordinator, leaf2's, and back past the coordinator. Beside it, in turn, the bare engine's: a plain request of nats.js between
the same two leaves of a fleet without cim, which takes the same way without the coordinator. The command's programs use our
library at both ends, with its ids and JSON, and answer with the text of 100 bytes that they get; what a handler remembers it
remembers in its process. Beside them the same command by a route that the caller keeps. All programs are in this process. Once
with --under-way requests at a time, for the rate, and once with one at a time, for the time of one. Rounds are short and each is all of them, one after the other, so that what else runs on
the machine hits all alike; the ratio is the median of the rounds'. With --moleculer beside them a call from one node of Moleculer to
another, over NATS and the same servers as the bare request; npm fetches it into a folder that goes with the bench.
`;

const options = readOptions(USAGE, { values: ["seconds", "rounds", "under-way"], flags: ["moleculer"] });
const seconds = options.number("seconds", options.quick ? 0.5 : 1);
const rounds = options.number("rounds", options.quick ? 3 : 15);
const underWay = options.number("under-way", 64);
const BODY = "x".repeat(100);
const TIMEOUT_MS = 20_000;

/** Sends one and gives the length of the answer. */
type Way = () => Promise<number>;
type Kind = "cim" | "kept" | "bare" | "moleculer";

let moleculer: Moleculer | undefined;
let handling: Handling | undefined;
const arms = [await Arm.start("cim", { leaves: 2 }), await Arm.start("bare", { leaves: 2, unsourced: true })];
try {
  const [cim, bare] = [await commanding(), await requesting()];
  if (options.flag("moleculer")) moleculer = await moleculerBeside();
  const { call } = moleculer ?? {};
  const kept = new KeptRoutes(cim, "leaf1");
  const ways: Partial<Record<Kind, Way>> = {
    cim: () => command(cim),
    kept: () => command(cim, kept),
    bare: () => request(bare),
    ...(call && { moleculer: async () => (await call(BODY)).length }),
  };
  const kinds = Object.entries(ways) as [Kind, Way][];
  for (const [, way] of kinds) await drive(way, underWay, 0.5);
  const found = { cim: newFound(), kept: newFound(), bare: newFound(), moleculer: newFound() };
  for (let round = 1; round <= rounds; round++) {
    for (const [kind, way] of kinds) {
      const many = await drive(way, underWay, seconds);
      const single = await drive(way, 1, seconds / 2);
      found[kind].rates.push(many.perSecond);
      found[kind].one.push(single.spread);
      const rate = Math.round(many.perSecond);
      progress(`round ${round} ${kind}: ${rate}/s, one at a time p50 ${single.spread.p50.toFixed(2)} ms`);
    }
  }
  const ratioOf = (kind: Kind, beside: Kind = "bare") =>
    median(found[kind].rates.map((rate, at) => rate / (found[beside].rates[at] as number)));
  const rateOf = (kind: Kind) => median(found[kind].rates);
  const oneOf = (kind: Kind) => median(found[kind].one.map(({ p50 }) => p50));
  const line = (what: string, unit: string, pick: (kind: Kind) => number): Figure => ({
    what,
    unit,
    cim: pick("cim"),
    bare: pick("bare"),
  });
  const beside = (name: string): Figure[] => [
    {
      what: `commands; ${name} in the place of bare`,
      unit: "/s",
      cim: rateOf("cim"),
      bare: rateOf("moleculer"),
    },
    { what: `of ${name}'s rate`, unit: "", cim: ratioOf("cim", "moleculer"), goal: { least: 1 } },
    { what: `by a kept route, of ${name}'s rate`, unit: "", cim: ratioOf("kept", "moleculer") },
    { what: "one at a time p50", unit: "ms", cim: oneOf("cim"), bare: oneOf("moleculer") },
  ];
  report(
    `command: routed from leaf1 to leaf2, ${underWay} under way, median of ${rounds} rounds`,
    [
      line("commands answered", "/s", rateOf),
      { what: "of the bare request's rate", unit: "", cim: ratioOf("cim"), goal: { least: 0.6 } },
      line("one at a time p50", "ms", oneOf),
      line("one at a time p99", "ms", (kind) => median(found[kind].one.map(({ p99 }) => p99))),
      { what: "by a kept route", unit: "/s", cim: rateOf("kept"), bare: rateOf("bare") },
      { what: "of the bare request's rate", unit: "", cim: ratioOf("kept") },
      { what: "one at a time p50", unit: "ms", cim: oneOf("kept") },
      ...(moleculer ? beside(`Moleculer ${moleculer.version}`) : []),
    ],
    { json: options.json, details: found },
  );
  kept.close();
} finally {
  await handling?.stop();
  await moleculer?.[Symbol.asyncDispose]();
  for (const arm of arms) await arm[Symbol.asyncDispose]();
}

function newFound(): { readonly rates: number[]; readonly one: Spread[] } {
  return { rates: [], one: [] };
}

/** At the servers of the bare request. undefined, and said: it can't be had here. */
async function moleculerBeside(): Promise<Moleculer | undefined> {
  const bare = arms.find(({ kind }) => kind === "bare") as Arm;
  const made = await startMoleculer({ caller: bare.leaf(1).natsUrl, handler: bare.leaf(2).natsUrl });
  if (typeof made !== "string") return made;
  progress(`Moleculer is left out, npm can't install it: ${made}`);
  return undefined;
}

async function command(nc: NatsConnection, kept?: KeptRoutes): Promise<number> {
  const toSend = { domain: "orders", command: "Place", data: BODY };
  return (await sendCommand(nc, toSend, { timeoutMs: TIMEOUT_MS }, kept)).json<string>().length;
}

async function request(nc: NatsConnection): Promise<number> {
  return (await nc.request("bench.Place", BODY, { timeout: TIMEOUT_MS })).string().length;
}

/** A program on leaf1, whose commands one on leaf2 answers. */
async function commanding(): Promise<NatsConnection> {
  const [caller, handler] = await programsOf("cim");
  const answer = ({ data }: { readonly data: unknown }) => data;
  handling = handleCommands(handler, "leaf2", "orders", "Place", answer, { memory: "process" });
  await handler.flush();
  await reached(() => command(caller));
  return caller;
}

/** The same with requests of the bare engine. */
async function requesting(): Promise<NatsConnection> {
  const [caller, handler] = await programsOf("bare");
  handler.subscribe("bench.Place", {
    queue: "bench",
    callback: (_, message) => void message.respond(message.data),
  });
  await handler.flush();
  await reached(() => request(caller));
  return caller;
}

async function programsOf(kind: ArmKind): Promise<[NatsConnection, NatsConnection]> {
  const arm = arms.find((one) => one.kind === kind) as Arm;
  return [await arm.connect(arm.leaf(1)), await arm.connect(arm.leaf(2))];
}

async function reached(way: Way): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    if ((await way().catch(() => 0)) === BODY.length) return;
    if (performance.now() > deadline) throw new Error("no answer came through");
  }
}

/** So many requests at a time, for so long. */
async function drive(way: Way, atATime: number, forS: number) {
  const tookMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + forS * 1000;
  const one = async () => {
    for (let beganMs = performance.now(); beganMs < endMs; ) {
      if ((await way()) !== BODY.length) throw new Error("an answer that is not the handler's");
      const nowMs = performance.now();
      tookMs.push(nowMs - beganMs);
      beganMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: atATime }, one));
  return {
    perSecond: tookMs.length / ((performance.now() - startMs) / 1000),
    spread: spreadOf(tookMs),
  };
}
