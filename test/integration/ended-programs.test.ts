import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EndedPrograms } from "../../agent/commands/ended-programs.ts";
import { HandlerWatch } from "../../agent/commands/handler-watch.ts";
import { CommandRouter } from "../../coordinator/routing/command-router.ts";
import { RouteAsks } from "../../coordinator/routing/route-ask.ts";
import { RouteView } from "../../coordinator/routing/route-view.ts";
import { handleCommands } from "../../shared/client/commands/handle-commands.ts";
import { KeptRoutes } from "../../shared/client/commands/kept-routes.ts";
import { type CommandToSend, sendCommand } from "../../shared/client/commands/send-command.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { routeNode } from "../support/route-fleet.ts";

/** Programs that end with commands on a leaf that goes on: real servers, the router and the leaf's part of the agent. */

/** Only what never comes takes as long. */
const LONG_MS = 150_000;
const PATIENCE = { timeoutMs: 60_000 };
const TRY_MS = 1_000;
const log = pino({ level: "silent" });

let fleet: NatsFleet;
let hub: NatsConnection;
let router: CommandRouter;
const view = new RouteView();
const open: { stop(): unknown }[] = [];
/** Commands that the handlers of this test have, by program. */
const taken: { program: string; id: string | undefined; answer: (value: unknown) => void }[] = [];

beforeAll(async () => {
  fleet = await startNatsFleet({ leaves: ["leaf1", "leaf2"] });
  hub = await fleet.connect("hub", "agent");
  for (const node of ["leaf1", "leaf2"]) await startAgentPart(node);
  router = new CommandRouter({
    nc: hub,
    hub: "hub",
    here: { region: "default", coordinates: null },
    view,
    asks: new RouteAsks({ strategy: "round-robin", maxLagS: null }),
    stillLeads: async () => true,
    tells: () => true,
    onChosen: () => {},
    onRefused: () => {},
    log,
  });
  router.lead();
  // The coordinator's interest has come to every leaf, and each leaf hears it.
  for (const node of ["leaf1", "leaf2"]) {
    const nc = await fleet.connect(node, "app");
    await eventually(() => nc.request("cim.commands.x", "", { timeout: TRY_MS }).then(() => true), PATIENCE);
  }
});

afterEach(async () => {
  for (const { answer } of taken.splice(0)) answer(undefined);
  for (const one of open.splice(0)) await one.stop();
  for (const node of ["leaf1", "leaf2"]) view.remove(node);
});

afterAll(async () => {
  router?.stop();
  await fleet?.[Symbol.asyncDispose]();
});

async function startAgentPart(node: string): Promise<void> {
  const [nc, sys] = [await fleet.connect(node, "agent"), await fleet.connect(node, "sys")];
  const handlers = new HandlerWatch({ sys: () => sys, node, onChange: () => {}, log });
  handlers.start();
  new EndedPrograms({ nc, sys, node, handlers, log }).start();
}

/** A program of its own that handles orders.Place and answers when it is told to. `end`: as if it were killed. */
async function program(node: string, name: string) {
  const nc = await fleet.connect(node, "app");
  const handling = handleCommands(nc, node, "orders", "Place", ({ id }) => {
    return id === undefined ? "here" : new Promise((answer) => taken.push({ program: name, id, answer }));
  });
  open.push(handling);
  await nc.flush();
  // The hub's server knows of it.
  const [subject, reply] = [`cim.node.${node}.commands.orders.Place`, `cim.node.${node}.reply.probe`];
  await eventually(
    () => hub.request(subject, "", { timeout: TRY_MS, noMux: true, reply }).then(() => true),
    PATIENCE,
  );
  return { end: () => nc.close() };
}

/** Also what is sent by a kept route is sent through a program's own connection. */
async function sender(node: string, keeps: boolean) {
  const nc = await fleet.connect(node, "app");
  const kept = keeps ? new KeptRoutes(nc, node) : undefined;
  if (kept) open.push({ stop: () => kept.close() });
  await nc.flush();
  return (command: Partial<CommandToSend> = {}, timeoutMs = LONG_MS): Promise<unknown> =>
    sendCommand(nc, { domain: "orders", command: "Place", ...command }, { timeoutMs }, kept).then(
      (answer) => answer.json(),
      (error: unknown) => error,
    );
}

const fits = (...nodes: string[]) => {
  for (const node of nodes) view.set(routeNode(node, { handlers: ["orders.*"] }));
};

test.each([
  ["through the coordinator, from another leaf", "leaf1", false],
  ["through the coordinator, from the same leaf", "leaf2", false],
  ["by a kept route, from another leaf", "leaf1", true],
  ["by a kept route, from the same leaf", "leaf2", true],
  ["by a kept route, from the hub", "hub", true],
] as const)("who waits for a program that ended is told, and nobody else: %s", async (_, from, keeps) => {
  fits("leaf2");
  const programs = { a: await program("leaf2", "a"), b: await program("leaf2", "b") };
  const send = await sender(from, keeps);
  const answers = new Map<string, Promise<unknown>>();
  // Until both have some; the server chooses between them.
  for (let n = 0; new Set(taken.map(({ program }) => program)).size < 2; n++) {
    answers.set(`${n}`, send({ id: `${n}` }));
    await eventually(() => taken.length === n + 1, PATIENCE);
  }
  const [lost, held] = [
    taken.filter((one) => one.program === "a"),
    taken.filter((one) => one.program === "b"),
  ];
  await programs.a.end();
  for (const { id } of lost) {
    const told = await answers.get(id ?? "");
    expect(told).toMatchObject({ name: "CommandUnanswered", code: "handler-gone", node: "leaf2", id });
  }
  for (const { id, answer } of held) {
    answer(`done ${id}`);
    expect(await answers.get(id ?? "")).toBe(`done ${id}`);
  }
  await eventually(() => router.underWay === 0, PATIENCE);
});

test("what may be done again is done on another leaf", async () => {
  fits("leaf2");
  const there = await program("leaf2", "there");
  const send = await sender("leaf1", false);
  const answer = send({ retry: "elsewhere" });
  await eventually(() => taken.length === 1, PATIENCE);
  fits("leaf1", "leaf2");
  await program("leaf1", "elsewhere");
  await there.end();
  await eventually(() => taken.length === 2, PATIENCE);
  expect(taken[1]?.program).toBe("elsewhere");
  taken[1]?.answer("after all");
  expect(await answer).toBe("after all");
});

test("a command on its sender's own leaf counts as under way until it is answered", async () => {
  fits("leaf2");
  await program("leaf2", "here");
  const send = await sender("leaf2", false);
  const answer = send();
  await eventually(() => taken.length === 1, PATIENCE);
  expect([router.underWay, view.get("leaf2")?.load.inFlight]).toEqual([1, 1]);
  taken[0]?.answer("done");
  expect(await answer).toBe("done");
  await eventually(() => router.underWay === 0, PATIENCE);
  expect(view.get("leaf2")?.load.inFlight).toBe(0);
});
