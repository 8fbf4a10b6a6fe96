import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { parseLinkCondition } from "../../lab/link-condition.ts";
import { LinkProxy } from "../../lab/link-proxy.ts";
import { eventually } from "../support/eventually.ts";

const sockets = new Set<Socket>();
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const disposable of disposables.splice(0)) await disposable[Symbol.asyncDispose]();
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function pattern(bytes: number, seed: number): Buffer {
  const random = seeded(seed);
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)));
}

/** What one end of a connection has seen. */
class End {
  readonly socket: Socket;
  readonly hash = createHash("sha256");
  bytes = 0;
  text = "";
  ended = false;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    sockets.add(socket);
    socket.on("data", (chunk) => {
      this.hash.update(chunk);
      this.bytes += chunk.length;
      if (this.text.length < 1000) this.text += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("error", () => {});
  }
}

/** A hub that only listens, a link before it. */
async function setUp() {
  const hubEnds: End[] = [];
  const hub = createServer({ allowHalfOpen: true }, (socket) => void hubEnds.push(new End(socket)));
  hub.listen(0, "127.0.0.1");
  await once(hub, "listening");
  const { port } = hub.address() as { port: number };
  const target = { host: "127.0.0.1", port };
  const proxy = new LinkProxy({ listen: { host: "127.0.0.1", port: 0 }, target, random: seeded(7) });
  await proxy.start();
  disposables.push(proxy, { [Symbol.asyncDispose]: async () => void hub.close() });
  const dial = async () => {
    const socket = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
    const end = new End(socket);
    await once(socket, "connect");
    return end;
  };
  const pair = async () => {
    const before = hubEnds.length;
    const leafEnd = await dial();
    const hubEnd = await eventually(() => hubEnds[before], { what: "the hub's end" });
    return { leafEnd, hubEnd };
  };
  return { proxy, hubEnds, dial, pair };
}

describe("link proxy", () => {
  it.each(["up", "delay=20ms", "stall=3%", "rate=8mbit", "delay=10ms,stall=2%,rate=20mbit"])(
    "carries every byte in order, both ways, with %s",
    async (words) => {
      const { proxy, pair } = await setUp();
      await proxy.set(parseLinkCondition(words));
      const { leafEnd, hubEnd } = await pair();
      const toHub = pattern(300_000, 1);
      const toLeaf = pattern(200_000, 2);
      leafEnd.socket.end(toHub);
      hubEnd.socket.end(toLeaf);
      await eventually(() => leafEnd.ended && hubEnd.ended);
      expect(hubEnd.hash.digest("hex")).toBe(createHash("sha256").update(toHub).digest("hex"));
      expect(leafEnd.hash.digest("hex")).toBe(createHash("sha256").update(toLeaf).digest("hex"));
      expect(proxy.bytes).toEqual({ toHub: 300_000, toLeaf: 200_000 });
      await eventually(() => proxy.connections.open === 0);
    },
  );

  it("loses and repeats nothing while the condition changes under a transfer", async () => {
    const { proxy, pair } = await setUp();
    const { leafEnd, hubEnd } = await pair();
    const toHub = pattern(3_000_000, 3);
    const words = [
      "delay=5ms",
      "blackhole",
      "rate=50mbit",
      "up",
      "blackhole",
      "stall=3%",
      "delay=1ms,rate=80mbit",
    ];
    for (let at = 0, turn = 0; at < toHub.length; at += 50_000, turn++) {
      leafEnd.socket.write(toHub.subarray(at, at + 50_000));
      await proxy.set(parseLinkCondition(words[turn % words.length] as string));
      await sleep(1);
    }
    leafEnd.socket.end();
    await proxy.set({ state: "up" });
    await eventually(() => hubEnd.ended);
    expect(hubEnd.bytes).toBe(toHub.length);
    expect(hubEnd.hash.digest("hex")).toBe(createHash("sha256").update(toHub).digest("hex"));
  });

  it("down closes both ends and refuses; up listens on the same port again", async () => {
    const { proxy, dial, pair } = await setUp();
    const { port } = proxy;
    const { leafEnd, hubEnd } = await pair();
    await proxy.set({ state: "down" });
    expect(proxy.connections.open).toBe(0);
    await eventually(() => leafEnd.ended && hubEnd.ended);
    await expect(dial()).rejects.toThrow(/ECONNREFUSED/);
    await proxy.set({ state: "up" });
    expect(proxy.port).toBe(port);
    await pair();
  });

  it("blackhole holds what is sent, closes nothing, and gives it back when it ends", async () => {
    const { proxy, pair } = await setUp();
    const { leafEnd, hubEnd } = await pair();
    await proxy.set({ state: "blackhole" });
    leafEnd.socket.write("up there?");
    hubEnd.socket.end("bye");
    await sleep(50);
    expect([hubEnd.bytes, leafEnd.bytes, leafEnd.ended]).toEqual([0, 0, false]);
    await proxy.set({ state: "up" });
    await eventually(() => hubEnd.text === "up there?" && leafEnd.text === "bye" && leafEnd.ended);
  });

  it("blackhole hides a reset from the other end", async () => {
    const { proxy, pair } = await setUp();
    const { leafEnd, hubEnd } = await pair();
    await proxy.set({ state: "blackhole" });
    hubEnd.socket.resetAndDestroy();
    await sleep(50);
    leafEnd.socket.write("still here");
    await sleep(50);
    expect([leafEnd.ended, leafEnd.closed]).toEqual([false, false]);
    await proxy.set({ state: "up" });
    await eventually(() => leafEnd.closed || leafEnd.ended);
  });

  it("blackhole accepts: who waits is connected on afterwards, who gives up never reaches the hub", async () => {
    const { proxy, hubEnds, dial } = await setUp();
    await proxy.set({ state: "blackhole" });
    const patient = await dial();
    patient.socket.write("I waited");
    const hasty = await dial();
    hasty.socket.destroy();
    await eventually(() => proxy.connections.accepted === 2 && proxy.connections.open === 1);
    expect(hubEnds).toHaveLength(0);
    await proxy.set({ state: "up" });
    await eventually(() => hubEnds[0]?.text === "I waited");
    expect(hubEnds).toHaveLength(1);
  });

  it("down ends what a black hole holds", async () => {
    const { proxy, dial } = await setUp();
    await proxy.set({ state: "blackhole" });
    const waiting = await dial();
    await eventually(() => proxy.connections.open === 1);
    await proxy.set({ state: "down" });
    await eventually(() => waiting.ended);
    expect(proxy.connections.open).toBe(0);
  });

  it("delay is one-way latency in each direction", async () => {
    const { proxy, pair } = await setUp();
    await proxy.set(parseLinkCondition("delay=60ms"));
    const { leafEnd, hubEnd } = await pair();
    hubEnd.socket.on("data", () => hubEnd.socket.write("pong"));
    const startMs = performance.now();
    leafEnd.socket.write("ping");
    await eventually(() => leafEnd.text === "pong", { everyMs: 1 });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(119);
  });

  it("rate bounds what crosses per second", async () => {
    const { proxy, pair } = await setUp();
    await proxy.set(parseLinkCondition("rate=64kbit"));
    const { leafEnd, hubEnd } = await pair();
    const startMs = performance.now();
    leafEnd.socket.write(pattern(4000, 4));
    await eventually(() => hubEnd.bytes === 4000, { everyMs: 1 });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(495);
  });

  it("stall holds a segment for a retransmission time-out, and what is behind it", async () => {
    const { proxy, pair } = await setUp();
    await proxy.set(parseLinkCondition("stall=90%"));
    const { leafEnd, hubEnd } = await pair();
    const startMs = performance.now();
    leafEnd.socket.write("held");
    await eventually(() => hubEnd.text === "held", { everyMs: 1, timeoutMs: 15_000 });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(199);
  }, 20_000);

  it("closes the leaf's connection when the hub isn't there", async () => {
    const { port } = await (async () => {
      const { proxy } = await setUp();
      await proxy.set({ state: "down" });
      return proxy;
    })();
    const target = { host: "127.0.0.1", port };
    const proxy = new LinkProxy({ listen: { host: "127.0.0.1", port: 0 }, target });
    await proxy.start();
    disposables.push(proxy);
    const end = new End(connect({ host: "127.0.0.1", port: proxy.port }));
    await eventually(() => end.closed);
    await eventually(() => proxy.connections.open === 0);
  });
});
