import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HandlerWatch } from "../../agent/commands/handler-watch.ts";
import { CommandRouter } from "../../coordinator/routing/command-router.ts";
import { RouteAsks } from "../../coordinator/routing/route-ask.ts";
import type { RouteNode } from "../../coordinator/routing/route-node.ts";
import { RouteView } from "../../coordinator/routing/route-view.ts";
import { type Handling, handleCommands } from "../../shared/client/commands/handle-commands.ts";
import { KeptRoutes } from "../../shared/client/commands/kept-routes.ts";
import { sendCommand } from "../../shared/client/commands/send-command.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";
import { routeNode } from "../support/route-fleet.ts";

/** The way of commands over the real servers with their generated configuration: the router, and no other daemon. */

const PATIENT = { timeout: 20_000 };
/** Of a try that is repeated: while interest is on its way, a request may be lost. */
const TRY_MS = 1_000;
const LEAVES = ["leaf1", "leaf2", "leaf3"];

let fleet: NatsFleet;
let hub: NatsConnection;
const programs = new Map<string, NatsConnection>();
const open: { stop(): unknown }[] = [];

beforeAll(async () => {
  fleet = await startNatsFleet({ leaves: LEAVES });
  hub = await fleet.connect("hub", "agent");
  for (const node of ["hub", ...LEAVES]) programs.set(node, await fleet.connect(node, "app"));
  // Linked, and known to be: a command of each comes through.
  const heard = new Set<string>();
  const ready = hub.subscribe("cim.coordinator.*.commands.test.Ready", {
    callback: (_, message) => void heard.add(message.subject.split(".")[2] as string),
  });
  await eventually(() => {
    for (const nc of programs.values()) nc.publish("cim.commands.test.Ready");
    return heard.size === 4;
  }, PATIENCE);
  ready.unsubscribe();
});

const PATIENCE = { timeoutMs: 60_000 };

afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

/** Of all routers. */
let decisions = 0;

const program = (node: string) => programs.get(node) as NatsConnection;

interface Router {
  readonly router: CommandRouter;
  readonly view: RouteView;
  readonly refused: string[];
}

/** A leading router that knows these leaves; `over`: what of one is otherwise. */
async function routerOf(nodes: Readonly<Record<string, Partial<RouteNode>>>): Promise<Router> {
  const view = new RouteView();
  for (const [name, over] of Object.entries(nodes)) view.set(routeNode(name, { handlers: [], ...over }));
  const refused: string[] = [];
  const router = new CommandRouter({
    nc: hub,
    hub: "hub",
    here: { region: "default", coordinates: null },
    view,
    asks: new RouteAsks({ strategy: "round-robin", maxLagS: null }),
    stillLeads: async () => true,
    tells: () => false,
    onChosen: () => {
      decisions += 1;
    },
    onRefused: (reason) => void refused.push(reason),
    log: pino({ level: "silent" }),
  });
  router.lead();
  open.push(router);
  // The interest has to come to every leaf.
  for (const node of ["hub", ...LEAVES]) {
    await eventually(
      async () => (await program(node).request("cim.commands.x", "", { timeout: TRY_MS })) !== undefined,
      PATIENCE,
    );
  }
  refused.length = 0;
  return { router, view, refused };
}

/** A plain client that answers on a leaf. Resolves when the hub's server knows of it. */
async function answering(node: string, command = "Place", answer = `done on ${node}`): Promise<() => number> {
  let count = 0;
  const subject = `cim.node.${node}.commands.orders.${command}`;
  const nc = program(node);
  const subscription = nc.subscribe(subject, {
    queue: "test",
    callback: (_, message) => {
      if (message.string() === "probe") return void message.respond();
      count += 1;
      if (answer !== "") message.respond(answer);
    },
  });
  open.push({ stop: () => subscription.unsubscribe() });
  await known(node, subject);
  return () => count;
}

async function known(node: string, subject: string): Promise<void> {
  const reply = `cim.node.${node}.reply.probe`;
  await eventually(
    () => hub.request(subject, "probe", { timeout: TRY_MS, noMux: true, reply }).then(() => true),
    PATIENCE,
  );
}

test("a plain client's command from any node is answered by a leaf's program", async () => {
  await answering("leaf2");
  await routerOf({ leaf2: { handlers: ["orders.Place"] }, leaf1: {} });
  for (const node of ["hub", "leaf1", "leaf2", "leaf3"]) {
    const answer = await program(node).request("cim.commands.orders.Place", "{}", PATIENT);
    expect(`${node}: ${answer.string()}`).toBe(`${node}: done on leaf2`);
  }
});

test("the answer does not come through the router", async () => {
  const nc = program("leaf2");
  const held: (() => void)[] = [];
  const subscription = nc.subscribe("cim.node.leaf2.commands.orders.Place", {
    callback: (_, message) => {
      if (message.string() === "probe") return void message.respond();
      held.push(() => message.respond("after all"));
    },
  });
  open.push({ stop: () => subscription.unsubscribe() });
  await known("leaf2", "cim.node.leaf2.commands.orders.Place");
  const { router } = await routerOf({ leaf2: { handlers: ["orders.Place"] } });
  const answer = program("leaf1").request("cim.commands.orders.Place", "{}", PATIENT);
  await eventually(() => held.length === 1, PATIENCE);
  router.stop();
  await hub.flush();
  held[0]?.();
  expect((await answer).string()).toBe("after all");
});

test("a leaf whose program began a moment ago is found though its agent does not announce it", async () => {
  await answering("leaf3");
  await routerOf({ leaf1: {}, leaf2: {}, leaf3: {} });
  const answer = await program("leaf1").request("cim.commands.orders.Place", "{}", PATIENT);
  expect(answer.string()).toBe("done on leaf3");
});

test("a leaf whose program is gone though its agent announces it is passed over", async () => {
  await answering("leaf2");
  await routerOf({ leaf1: { handlers: ["orders.*"] }, leaf2: { handlers: ["orders.*"] } });
  for (let n = 0; n < 4; n++) {
    const answer = await program("leaf3").request("cim.commands.orders.Place", "{}", PATIENT);
    expect(answer.string()).toBe("done on leaf2");
  }
});

test("who can't be served is told why, by name", async () => {
  const { refused } = await routerOf({
    leaf1: { capabilities: ["cpu"] },
    leaf2: { health: "down", handlers: ["orders.>"] },
  });
  const told = async (subject: string, headers: Record<string, string> = {}) => {
    const answer = await requestWith(program("leaf1"), subject, headers);
    return [answer.headers?.get("Cim-Error"), answer.json<{ error: { message: string } }>().error.message];
  };
  expect(await told("cim.commands.orders.Nothing")).toEqual([
    "not-up",
    expect.stringContaining("leaf2 is down"),
  ]);
  expect(await told("cim.commands.orders.Nothing", { "Cim-Require": "gpu" })).toEqual([
    "no-capability",
    "no leaf for orders.Nothing: none has gpu; there are cpu",
  ]);
  expect(await told("cim.commands.orders.Nothing", { "Cim-Strategy": "fastest" })).toEqual([
    "bad-request",
    'there is no strategy "fastest"; write round-robin, least-loaded, location-aware or capability-based',
  ]);
  expect(await told("cim.commands.orders")).toEqual([
    "bad-request",
    '"cim.commands.orders" is no command; send it to cim.commands.<domain>.<Command>',
  ]);
  expect(refused).toEqual(["not-up", "no-capability", "bad-request", "bad-request"]);
});

test("while nobody leads, the server itself says so at once", async () => {
  const { router } = await routerOf({ leaf1: {} });
  router.stop();
  await hub.flush();
  await eventually(
    () =>
      sendCommand(program("leaf1"), { domain: "orders", command: "Place" }, { timeoutMs: TRY_MS }).then(
        () => false,
        (error: unknown) => error instanceof Error && "code" in error && error.code === "no-coordinator",
      ),
    PATIENCE,
  );
});

test("when a leaf goes away its callers are told at once; what may be done again is done elsewhere", async () => {
  const silent = await answering("leaf2", "Place", "");
  const other = await answering("leaf3");
  const { router, view } = await routerOf({
    leaf2: { handlers: ["orders.Place"] },
    leaf3: { handlers: ["orders.Place"], health: "down" },
  });
  const nc = program("leaf1");
  const send = (retry?: "elsewhere") =>
    sendCommand(
      nc,
      { domain: "orders", command: "Place", ...(retry && { retry }) },
      { timeoutMs: 60_000 },
    ).catch((error: unknown) => error);
  const told = send();
  const done = send("elsewhere");
  await eventually(() => silent() === 2, PATIENCE);
  view.set(routeNode("leaf2", { handlers: ["orders.Place"], health: "unreachable" }));
  view.set(routeNode("leaf3", { handlers: ["orders.Place"] }));
  router.lost("leaf2");
  expect(await told).toMatchObject({ name: "CommandUnanswered", code: "node-gone", node: "leaf2" });
  expect(Buffer.from(((await done) as { body: Uint8Array }).body).toString()).toBe("done on leaf3");
  expect(other()).toBe(1);
});

test("commands in flight count as load until they are answered", async () => {
  const silent = await answering("leaf2", "Place", "");
  const { router, view } = await routerOf({ leaf2: { handlers: ["orders.Place"] } });
  const nc = program("leaf1");
  const told = nc.request("cim.commands.orders.Place", "{}", PATIENT);
  await eventually(() => silent() === 1, PATIENCE);
  expect(view.get("leaf2")?.load.inFlight).toBe(1);
  expect(router.underWay).toBe(1);
  router.lost("leaf2");
  await told;
  expect(view.get("leaf2")?.load.inFlight).toBe(0);
});

test("the library's handler: answers, errors, and a repeated id from memory", async () => {
  let done = 0;
  const nc = program("leaf2");
  const handling: Handling = handleCommands(nc, "leaf2", "orders", "Count", ({ data }) => {
    if (data === "bad") throw new Error("it can't be counted");
    return { count: ++done, data };
  });
  open.push(handling);
  await routerOf({ leaf2: { handlers: ["orders.Count"] } });
  const send = (id: string, data: unknown) =>
    sendCommand(program("leaf1"), { domain: "orders", command: "Count", id, data }, { timeoutMs: 20_000 });
  const first = await send("a", { n: 1 });
  expect([first.id, first.node, first.json()]).toEqual(["a", "leaf2", { count: 1, data: { n: 1 } }]);
  expect((await send("a", { n: 1 })).json()).toEqual({ count: 1, data: { n: 1 } });
  expect((await send("b", null)).json()).toEqual({ count: 2, data: null });
  await expect(send("c", "bad")).rejects.toMatchObject({
    name: "CommandFailed",
    node: "leaf2",
    message: "it can't be counted",
  });
  // What failed is tried again.
  expect((await send("c", "good")).json()).toEqual({ count: 3, data: "good" });
});

test("an answer may go to a program's inbox and nowhere else", async () => {
  const handled = await answering("leaf2");
  await routerOf({ leaf2: { handlers: ["orders.Place"] } });
  const nc = program("leaf1");
  const elsewhere: string[] = [];
  for (const subject of ["cim.log.>", "cim.node.*.heartbeat"]) {
    hub.subscribe(subject, { callback: (_, message) => void elsewhere.push(message.subject) });
  }
  for (const reply of ["cim.log.orders.Placed", "cim.node.leaf2.heartbeat", "_INBOX.a.>"]) {
    nc.publish("cim.commands.orders.Place", "{}", { reply });
  }
  const answer = await nc.request("cim.commands.orders.Place", "{}", PATIENT);
  expect(answer.string()).toBe("done on leaf2");
  expect(handled()).toBe(1);
  expect(elsewhere).toEqual([]);
});

test("a leaf's answers do not reach the inbox of another leaf's daemon", async () => {
  const agent = await fleet.connect("leaf1", "agent");
  const answerer = await fleet.connect("leaf2", "agent");
  const heard: string[] = [];
  agent.subscribe("_INBOX.leaf1.x", { callback: (_, message) => void heard.push(message.subject) });
  program("leaf1").subscribe("_INBOX.program", {
    callback: (_, message) => void heard.push(message.subject),
  });
  await Promise.all([agent.flush(), program("leaf1").flush()]);
  await eventually(() => {
    answerer.publish("cim.node.leaf2.answer.leaf1._INBOX.leaf1.x");
    answerer.publish("cim.node.leaf2.answer.leaf1._INBOX.program");
    return heard.length > 3;
  }, PATIENCE);
  expect(new Set(heard)).toEqual(new Set(["_INBOX.program"]));
});

test("an agent knows from its server which commands programs listen for", async () => {
  const sys = await fleet.connect("leaf1", "sys");
  let changes = 0;
  const watch = new HandlerWatch({
    sys: () => sys,
    node: "leaf1",
    onChange: () => {
      changes += 1;
    },
    log: pino({ level: "silent" }),
  });
  watch.start();
  open.push(watch);
  await eventually(() => watch.handlers?.length === 0, PATIENCE);
  const nc = await fleet.connect("leaf1", "app");
  nc.subscribe("cim.node.leaf1.commands.orders.Place", { queue: "a" });
  nc.subscribe("cim.node.leaf1.commands.person.>");
  nc.subscribe("cim.node.leaf1.commands.orders.Place", { queue: "a" });
  await eventually(() => String(watch.handlers) === "orders.Place,person.>", PATIENCE);
  expect(changes).toBeGreaterThan(0);
  await nc.close();
  await eventually(() => watch.handlers?.length === 0, PATIENCE);
});

async function requestWith(nc: NatsConnection, subject: string, headers: Record<string, string>) {
  const { headers: make } = await import("@nats-io/transport-node");
  const given = make();
  for (const [name, value] of Object.entries(headers)) given.set(name, value);
  return await nc.request(subject, "{}", { ...PATIENT, headers: given });
}

test("a route that is kept leads past the coordinator until the fleet changes", async () => {
  const [two, three] = [await answering("leaf2"), await answering("leaf3")];
  const handlers = ["orders.Place"];
  const { router, view } = await routerOf({ leaf2: { handlers }, leaf3: { handlers }, leaf1: {} });
  for (const node of ["leaf1", "leaf2", "hub"]) {
    const kept = new KeptRoutes(program(node), node);
    open.push({ stop: () => kept.close() });
    const send = () =>
      sendCommand(program(node), { domain: "orders", command: "Place" }, { timeoutMs: TRY_MS }, kept);
    await eventually(send, PATIENCE);
    // A notice of a change may still be on its way: then it is asked once more, and begins again.
    await eventually(async () => {
      const [twoBefore, threeBefore, decided] = [two(), three(), decisions];
      for (let n = 0; n < 6; n++) await send();
      return two() === twoBefore + 3 && three() === threeBefore + 3 && decisions === decided;
    }, PATIENCE);
    // One is gone: the routes are asked for anew.
    view.set(routeNode("leaf2", { handlers, health: "down" }));
    router.changed();
    await eventually(async () => {
      const count = two();
      for (let n = 0; n < 4; n++) await send();
      return two() === count;
    }, PATIENCE);
    view.set(routeNode("leaf2", { handlers }));
    router.changed();
    await program(node).flush();
  }
});

test("who waits for a leaf by a kept route is told when it goes", async () => {
  const silent = await answering("leaf2", "Place", "");
  const { router } = await routerOf({ leaf2: { handlers: ["orders.Place"] } });
  const kept = new KeptRoutes(program("leaf1"), "leaf1");
  open.push({ stop: () => kept.close() });
  const told = sendCommand(
    program("leaf1"),
    { domain: "orders", command: "Place" },
    { timeoutMs: 150_000 },
    kept,
  ).catch((error: unknown) => error);
  await eventually(() => silent() === 1, PATIENCE);
  router.lost("leaf2");
  expect(await told).toMatchObject({ name: "CommandUnanswered", code: "node-gone", node: "leaf2" });
});

test("without a leaf that fits, asking for a route is refused as the command would be", async () => {
  await routerOf({ leaf2: { capabilities: ["cpu"] } });
  const kept = new KeptRoutes(program("leaf1"), "leaf1");
  open.push({ stop: () => kept.close() });
  await expect(
    sendCommand(
      program("leaf1"),
      { domain: "orders", command: "Place", require: ["gpu"] },
      { timeoutMs: 20_000 },
      kept,
    ),
  ).rejects.toMatchObject({ name: "CommandRefused", code: "no-capability" });
});
