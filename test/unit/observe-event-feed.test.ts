import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { EventFeed, type EventFeedOptions } from "../../shared/observe/event-feed.ts";
import { HttpServer } from "../../shared/observe/http-server.ts";
import { eventually } from "../support/eventually.ts";

async function serve(options: EventFeedOptions = {}) {
  const feed = new EventFeed(options);
  const server = new HttpServer({
    listen: "127.0.0.1:0",
    log: pino({ enabled: false }),
    handlerTimeoutMs: 50,
  }).route("GET", "/events", () => ({ events: feed }));
  onTestFinished(() => server[Symbol.asyncDispose]());
  const { url } = await server.start();
  return { feed, server, url: `${url}/events` };
}

/** Listens as a browser does, and keeps all it hears. */
async function listen(url: string, lastId?: string) {
  const headers = lastId === undefined ? {} : { "Last-Event-ID": lastId };
  const request = get(url, { headers });
  request.on("error", () => {});
  onTestFinished(() => void request.destroy());
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  let ended = false;
  response.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  response.on("error", () => {});
  response.on("close", () => {
    ended = true;
  });
  return {
    response,
    close: () => request.destroy(),
    ended: () => ended,
    length: () => text.length,
    ids: () => [...text.matchAll(/^id: (.+)$/gm)].map(([, id]) => id as string),
    events: () => [...text.matchAll(/^event: (.+)\ndata: (.+)$/gm)].map(([, event, data]) => [event, data]),
  };
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => ["n", String(from + at)]);
const send = (feed: EventFeed, from: number, to: number) => {
  for (let data = from; data <= to; data++) feed.send({ event: "n", data });
};

describe("a feed of events", () => {
  it("tells everybody who listens, for longer than a handler may take", async () => {
    const { feed, url } = await serve({ keepAliveMs: 10 });
    const [one, other] = [await listen(url), await listen(url)];
    expect(one.response.headers["content-type"]).toMatch(/^text\/event-stream/);
    send(feed, 1, 3);
    for (const client of [one, other]) {
      await eventually(() => client.events().length === 3);
      expect(client.events()).toEqual(numbers(1, 3));
    }
    one.close();
    await eventually(() => feed.clients === 1);
    send(feed, 4, 4);
    await eventually(() => other.events().length === 4);
  });

  it("gives a client that comes back what it missed, or says that it can't", async () => {
    const { feed, url } = await serve({ kept: 5 });
    const first = await listen(url);
    send(feed, 1, 2);
    await eventually(() => first.ids().length === 2);
    first.close();
    send(feed, 3, 5);
    const [, seen = ""] = first.ids();
    const back = await listen(url, seen);
    await eventually(() => back.events().length === 3);
    expect(back.events()).toEqual(numbers(3, 5));
    send(feed, 6, 20);
    for (const lastId of [seen, "another-1", "nonsense"]) {
      const late = await listen(url, lastId);
      await eventually(() => late.events().length === 1);
      expect(late.events()).toEqual([["reset", "{}"]]);
    }
    const current = await listen(url, (await eventually(() => back.ids()[17])) as string);
    send(feed, 21, 21);
    await eventually(() => current.events().length === 1);
    expect(current.events()).toEqual(numbers(21, 21));
  });

  it("cuts off who does not read, and keeps the others", async () => {
    const { feed, url } = await serve({ maxBufferedBytes: 64 * 1024 });
    const reader = await listen(url);
    const { hostname, port, pathname } = new URL(url);
    const lazy = connect(Number(port), hostname);
    onTestFinished(() => void lazy.destroy());
    lazy.write(`GET ${pathname} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await eventually(() => feed.clients === 2);
    lazy.pause();
    let sent = 0;
    const data = "x".repeat(40_000);
    await eventually(
      () => {
        // One at a time, as the reader takes them: the kernel's buffers for the other must fill first.
        if (reader.length() < sent) return false;
        feed.send({ event: "n", data });
        sent += data.length;
        return feed.clients === 1;
      },
      { everyMs: 1, timeoutMs: 50_000, what: "an end for the lazy one" },
    );
    expect(reader.ended()).toBe(false);
  });

  it("refuses more than it has room for, and ends with its server", async () => {
    const { feed, url, server } = await serve({ maxClients: 1 });
    const one = await listen(url);
    const refused = await fetch(url);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toEqual({ error: "too many listen already; come back later" });
    expect((await fetch(url, { method: "HEAD" })).status).toBe(503);
    await server[Symbol.asyncDispose]();
    await eventually(() => one.ended() && feed.clients === 0);
  });
});
