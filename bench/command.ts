import type { NatsConnection } from "@nats-io/transport-node";
import { KeptRoutes } from "../shared/client/commands/kept-routes.ts";
import { commandSubject, routedCommandSubject } from "../shared/protocol/commands.ts";
import { Arm, type ArmKind } from "./support/arms.ts";
import { type Figure, median, progress, report, type Spread, spreadOf } from "./support/figures.ts";
import { type Moleculer, startMoleculer } from "./support/moleculer.ts";
import { readOptions } from "./support/options.ts";

const USAGE = `
npm run bench -- command [--seconds 1] [--rounds 15] [--under-way 64] [--moleculer] [--quick] [--json]

A command from a program on leaf1 that a program on leaf2 answers, over the real way: leaf1's server, the hub's, the
coordinator, leaf2's, and back past the coordinator. Beside it, in turn, the bare engine's: a plain NATS request between
the same two leaves of a fleet without cim, which takes the same way without the coordinator. Both programs are plain
clients in this process, the body has 100 bytes. Beside them the same command by a route that the caller keeps. Once with --under-way requests at a time, for the rate, and once with
one at a time, for the time of one. Rounds are short and each is all of them, one after the other, so that what else runs on
the machine hits all alike; the ratio is the median of the rounds'. With --moleculer beside them a call from one node of Moleculer to
another, over NATS and the same servers as the bare request; npm fetches it into a folder that goes with the bench.
`;

const options = readOptions(USAGE, { values: ["seconds", "rounds", "under-way"], flags: ["moleculer"] });
const seconds = options.number("seconds", options.quick ? 0.5 : 1);
const rounds = options.number("rounds", options.quick ? 3 : 15);
const underWay = options.number("under-way", 64);
const BODY = JSON.stringify({ id: "bench", command: "Place", data: "x".repeat(58) });
const TIMEOUT_MS = 20_000;

/** Sends one and gives the length of the answer. */
type Way = () => Promise<number>;
type Kind = "cim" | "kept" | "bare" | "moleculer";

let moleculer: Moleculer | undefined;
const arms = [await Arm.start("cim", { leaves: 2 }), await Arm.start("bare", { leaves: 2, unsourced: true })];
try {
  const [cim, bare] = [await connected("cim"), await connected("bare")];
  if (options.flag("moleculer")) moleculer = await moleculerBeside();
  const { call } = moleculer ?? {};
  const kept = new KeptRoutes(cim.caller, "leaf1");
  const command = { domain: "orders", command: "Place", id: "bench", body: BODY, headerText: "" };
  const ways: Partial<Record<Kind, Way>> = {
    cim: async () => (await cim.caller.request(cim.subject, BODY, { timeout: TIMEOUT_MS })).data.byteLength,
    kept: async () => (await kept.send(command, TIMEOUT_MS)).data.byteLength,
    bare: async () =>
      (await bare.caller.request(bare.subject, BODY, { timeout: TIMEOUT_MS })).data.byteLength,
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

/** Two programs that reach each other. */
async function connected(
  kind: ArmKind,
): Promise<{ readonly caller: NatsConnection; readonly subject: string }> {
  const arm = arms.find((one) => one.kind === kind) as Arm;
  const [caller, handler] = [await arm.connect(arm.leaf(1)), await arm.connect(arm.leaf(2))];
  const heard = kind === "cim" ? routedCommandSubject("leaf2", "orders", "Place") : "bench.Place";
  handler.subscribe(heard, { queue: "bench", callback: (_, message) => void message.respond(message.data) });
  await handler.flush();
  const subject = kind === "cim" ? commandSubject("orders", "Place") : heard;
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const answer = await caller.request(subject, BODY, { timeout: TIMEOUT_MS }).catch(() => undefined);
    if (answer?.string() === BODY) return { caller, subject };
    if (performance.now() > deadline) throw new Error(`${kind}: no answer came through`);
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
