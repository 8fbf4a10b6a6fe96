import type { NatsConnection } from "@nats-io/transport-node";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EndedPrograms } from "../../agent/commands/ended-programs.ts";
import { HandlerWatch } from "../../agent/commands/handler-watch.ts";
import { type CommandHandler, handleCommands } from "../../shared/client/commands/handle-commands.ts";
import { ensureStream } from "../../shared/nats/ensure-stream.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import { answersStream } from "../../shared/nats/streams.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsFleet, startNatsFleet } from "../support/nats-fleet.ts";

/** A repeated id on a leaf with several programs, which come and go: its server, and the agent's part. */

const SUBJECT = "cim.node.leaf1.commands.orders.Place";
const LONG = { timeout: 150_000 };
const WANTED = answersStream({ maxMemory: 64 * 1024 * 1024 });

let fleet: NatsFleet;
let agent: NatsConnection;
let caller: NatsConnection;
const open: { stop(): unknown }[] = [];
let ids = 0;

beforeAll(async () => {
  fleet = await startNatsFleet({ leaves: ["leaf1"] });
  agent = await fleet.connect("leaf1", "agent");
  caller = await fleet.connect("leaf1", "app");
  await ensureStream(agent, WANTED);
  const sys = await fleet.connect("leaf1", "sys");
  const log = pino({ level: "silent" });
  const handlers = new HandlerWatch({ sys: () => sys, node: "leaf1", onChange: () => {}, log });
  handlers.start();
  new EndedPrograms({ nc: agent, sys, node: "leaf1", handlers, log }).start();
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

interface Program {
  readonly done: () => number;
  /** Takes no more commands, and does what it has. */
  readonly stop: () => Promise<void>;
  /** As if it were killed. */
  readonly kill: () => Promise<void>;
}

async function program(work: CommandHandler): Promise<Program> {
  const nc = await fleet.connect("leaf1", "app");
  let done = 0;
  const handling = handleCommands(nc, "leaf1", "orders", "Place", (command) => {
    done += 1;
    return work(command);
  });
  await nc.flush();
  open.push({ stop: () => nc.close() });
  return { done: () => done, stop: () => handling.stop(), kill: () => nc.close() };
}

const newId = () => `id-${++ids}`;
const send = async (id: string, more: object = {}): Promise<unknown> =>
  (await caller.request(SUBJECT, JSON.stringify({ id, data: null, ...more }), LONG)).json();

test.each([{}, { fresh: true }])(
  "what one program answered, another answers from memory: %o",
  async (first) => {
    const id = newId();
    const one = await program(() => "by the first");
    expect(await send(id, first)).toBe("by the first");
    await one.kill();
    const two = await program(() => "by the second");
    expect([await send(id), two.done()]).toEqual(["by the first", 0]);
    expect([await send(newId()), two.done()]).toEqual(["by the second", 1]);
  },
);

test.each([{}, { fresh: true }])("what one program has under way, another waits for: %o", async (first) => {
  const gate = Promise.withResolvers<string>();
  const one = await program(() => gate.promise);
  const [id, stored] = [newId(), await messages()];
  const answers = [send(id, first)];
  await eventually(async () => one.done() === 1 && (await messages()) > stored);
  // From now on it gets no more, but it lives.
  const stopped = one.stop();
  const two = await program(() => "by the second");
  answers.push(send(id));
  expect(await send(newId())).toBe("by the second");
  gate.resolve("by the first");
  expect([await Promise.all(answers), two.done()]).toEqual([["by the first", "by the first"], 1]);
  await stopped;
});

test("what a program had that ended, another does", async () => {
  const one = await program(() => new Promise(() => {}));
  const [id, stored] = [newId(), await messages()];
  void send(id).catch(() => {});
  await eventually(async () => one.done() === 1 && (await messages()) > stored);
  await one.kill();
  const two = await program(() => "by the second");
  expect([await send(id), two.done()]).toEqual(["by the second", 1]);
});

test("what failed is done again by whoever gets it", async () => {
  const id = newId();
  const one = await program(() => {
    throw new Error("not today");
  });
  expect(await send(id)).toMatchObject({ error: { message: "not today" } });
  await one.kill();
  await program(() => "done");
  expect(await send(id)).toBe("done");
});

test("a program that is to remember by itself alone does so", async () => {
  const nc = await fleet.connect("leaf1", "app");
  let done = 0;
  const how = { memory: "process" } as const;
  open.push(handleCommands(nc, "leaf1", "orders", "Place", () => ++done, how));
  await nc.flush();
  const [id, stored] = [newId(), await messages()];
  expect([await send(id), await send(id), await messages()]).toEqual([1, 1, stored]);
});

test("on a node without that memory commands are done all the same", async () => {
  await jetStreamApi(agent, `STREAM.DELETE.${STREAM.answers}`, undefined);
  const one = await program(() => "done");
  expect([await send(newId()), await send(newId()), one.done()]).toEqual(["done", "done", 2]);
  await ensureStream(agent, WANTED);
});

async function messages(): Promise<number> {
  const info = await jetStreamApi<{ state: { last_seq: number } }>(
    agent,
    `STREAM.INFO.${STREAM.answers}`,
    {},
  );
  return info.state.last_seq;
}
