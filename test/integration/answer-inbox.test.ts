import {
  connect,
  headers as makeHeaders,
  type NatsConnection,
  NoRespondersError,
} from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AnswerInbox, type Call } from "../../shared/client/commands/answer-inbox.ts";
import { ConnectionLost } from "../../shared/nats/connection-lost.ts";
import { startNatsServer, type TestNatsServer } from "../support/nats-server.ts";

/** Which answer is for which command, on a real server; the test is the handler. */

let server: TestNatsServer;
let nc: NatsConnection;
let handler: NatsConnection;
const open: AnswerInbox[] = [];

beforeAll(async () => {
  server = await startNatsServer();
  [nc, handler] = [await connect({ servers: server.url }), await connect({ servers: server.url })];
});

afterEach(() => {
  for (const inbox of open.splice(0)) inbox.close();
});

afterAll(async () => {
  await Promise.all([nc?.close(), handler?.close()]);
  await server?.[Symbol.asyncDispose]();
});

function inboxOf(): AnswerInbox {
  const inbox = new AnswerInbox(nc);
  open.push(inbox);
  return inbox;
}

/** Asks, and gives where the answer is waited for, with what comes of it. */
async function asked(inbox: AnswerInbox, id: string, more: Partial<Call> = {}) {
  let reply = "";
  const call = { id, what: "orders.Place", mayRepeat: false, timeoutMs: 60_000, ...more };
  const answer = inbox
    .ask({ ...call, onTimeout: () => new Error("too late") }, (to) => {
      reply = to;
    })
    .then((message) => message.string());
  // It may end before anybody waits for it.
  answer.catch(() => {});
  // The subscription is at the server before anything is answered.
  await nc.flush();
  return { reply, answer };
}

function answer(reply: string, text: string, id?: string): void {
  const headers = makeHeaders();
  if (id !== undefined) headers.set("Cim-Id", id);
  handler.publish(reply, text, id === undefined ? {} : { headers });
}

test("an inbox is used again after an answer that names its command, and hears no late one to the command before", async () => {
  const inbox = inboxOf();
  const first = await asked(inbox, "a");
  answer(first.reply, "of a", "a");
  expect(await first.answer).toBe("of a");
  const second = await asked(inbox, "b");
  expect(second.reply).toBe(first.reply);
  answer(second.reply, "of a again", "a");
  answer(second.reply, "of b", "b");
  expect(await second.answer).toBe("of b");
});

test("an answer that names no command loses against the right one where it may be late, and is taken where none comes", async () => {
  const inbox = inboxOf();
  const first = await asked(inbox, "a");
  const other = await asked(inbox, "b", { what: "orders.Cancel" });
  answer(first.reply, "of a", "a");
  answer(other.reply, "of b", "b");
  await Promise.all([first.answer, other.answer]);
  const [second, third] = [await asked(inbox, "c"), await asked(inbox, "d", { what: "orders.Cancel" })];
  expect([second.reply, third.reply].toSorted()).toEqual([first.reply, other.reply].toSorted());
  answer(second.reply, "of nobody knows whom");
  answer(second.reply, "of c", "c");
  expect(await second.answer).toBe("of c");
  answer(third.reply, "by a plain client");
  expect(await third.answer).toBe("by a plain client");
});

test("an inbox that a plain client answered, or that had no answer, is not used again", async () => {
  const inbox = inboxOf();
  const used = new Set<string>();
  const plain = await asked(inbox, "a");
  answer(plain.reply, "by a plain client");
  expect(await plain.answer).toBe("by a plain client");
  used.add(plain.reply);
  const late = await asked(inbox, "b", { what: "orders.Cancel", timeoutMs: 1 });
  await expect(late.answer).rejects.toThrow("too late");
  used.add(late.reply);
  // A command that a plain client answers has an inbox of its own each time, whatever became free meanwhile.
  const freed = await asked(inbox, "c", { what: "orders.Cancel" });
  answer(freed.reply, "of c", "c");
  await freed.answer;
  used.add(freed.reply);
  for (const id of ["d", "e"]) {
    const next = await asked(inbox, id);
    expect(used).not.toContain(next.reply);
    used.add(next.reply);
    answer(next.reply, "by a plain client");
    expect(await next.answer).toBe("by a plain client");
  }
  // And so has one that another leaf may do too, or whose id can't be said in a header.
  for (const [id, more] of [
    ["f", { mayRepeat: true }],
    ["an id", {}],
  ] as const) {
    const next = await asked(inbox, id, { what: "orders.Cancel", ...more });
    expect(used).not.toContain(next.reply);
    answer(next.reply, "by a plain client");
    await next.answer;
  }
});

test("that nobody listens is told at once", async () => {
  const inbox = inboxOf();
  const call = { id: "a", what: "orders.Place", mayRepeat: false, timeoutMs: 60_000 };
  const told = inbox.ask({ ...call, onTimeout: () => new Error("too late") }, (reply) =>
    nc.publish("cim.nobody", "", { reply }),
  );
  await expect(told).rejects.toBeInstanceOf(NoRespondersError);
});

test("with the connection everything that waits ends", async () => {
  const own = await connect({ servers: server.url, reconnect: false });
  const inbox = new AnswerInbox(own);
  const call = { id: "a", what: "orders.Place", mayRepeat: false, timeoutMs: 60_000 };
  const waiting = () => inbox.ask({ ...call, onTimeout: () => new Error("too late") }, () => {});
  const lost = waiting();
  await own.close();
  await expect(lost).rejects.toBeInstanceOf(ConnectionLost);
  await expect(waiting()).rejects.toBeInstanceOf(ConnectionLost);
});
