import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Conditions } from "../../shared/observe/conditions.ts";
import {
  HttpListenError,
  HttpServer,
  type HttpServerOptions,
  httpError,
  json,
} from "../../shared/observe/http-server.ts";
import { createLog } from "../../shared/observe/log.ts";

const lines: string[] = [];
const log = createLog({
  name: "test",
  level: "warn",
  destination: { write: (line) => void lines.push(line) },
});
const folder = mkdtempSync(join(tmpdir(), "cim-http-"));
afterAll(() => rmSync(folder, { recursive: true }));

const make = (options: Partial<HttpServerOptions> = {}) =>
  new HttpServer({ listen: "127.0.0.1:0", log, ...options });
const start = async (server: HttpServer): Promise<string> => (await server.start()).url ?? "";

describe("the HTTP of a daemon", () => {
  it("says that the process lives, and whether it does its job", async () => {
    const conditions = new Conditions({ now: () => 0 });
    await using server = make({ conditions });
    const url = await start(server);
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ ok: true });
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, failing: [] }]);
    conditions.raise("disk-full", { path: "/data" });
    conditions.raise("refused-events");
    const failing = await fetch(`${url}/readyz`);
    expect(failing.status).toBe(503);
    expect(await failing.json()).toMatchObject({ ready: false, failing: [{ code: "disk-full" }] });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("gives metrics as their text", async () => {
    await using server = make({
      metrics: { contentType: "text/plain; version=0.0.4", text: async () => "a 1\n" },
    });
    const reply = await fetch(`${await start(server)}/metrics`);
    expect([reply.headers.get("content-type"), await reply.text()]).toEqual([
      "text/plain; version=0.0.4",
      "a 1\n",
    ]);
  });

  it("routes by path and method, with parameters and query", async () => {
    await using server = make();
    server
      .route("GET", "/api/v1/nodes", ({ query }) => json({ near: query.get("near") }))
      .route("GET", "/api/v1/nodes/:node", ({ params }) =>
        params.node === "leaf1" ? json(params) : httpError(404, `there is no node ${params.node}`),
      );
    const url = await start(server);
    const get = async (path: string, method = "GET") => {
      const reply = await fetch(url + path, { method });
      return [reply.status, method === "HEAD" ? await reply.text() : await reply.json()];
    };
    expect(await get("/api/v1/nodes?near=eu")).toEqual([200, { near: "eu" }]);
    expect(await get("/api/v1/nodes/leaf1/")).toEqual([200, { node: "leaf1" }]);
    expect(await get("/api/v1/nodes/le%2Faf")).toEqual([404, { error: "there is no node le/af" }]);
    expect(await get("/api/v1/nodes/%ff")).toEqual([400, { error: "the path is not a URL's" }]);
    expect(await get("/api/v2")).toEqual([404, { error: "there is no /api/v2" }]);
    expect(await get("/healthz", "HEAD")).toEqual([200, ""]);
    const wrong = await fetch(`${url}/api/v1/nodes`, { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("answers 500 and logs when a handler fails, 503 when it takes too long", async () => {
    await using server = make({ handlerTimeoutMs: 20 });
    let aborted = false;
    server.route("GET", "/fails", () => {
      throw new Error("broken inside");
    });
    server.route("GET", "/hangs", ({ signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Promise(() => {});
    });
    const url = await start(server);
    const failed = await fetch(`${url}/fails`);
    expect([failed.status, await failed.text()]).toEqual([500, expect.not.stringContaining("broken inside")]);
    expect(lines.join("")).toContain("broken inside");
    expect((await fetch(`${url}/hangs`)).status).toBe(503);
    expect(aborted).toBe(true);
  });

  it("changes nothing without the right token", async () => {
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "right\n");
    const bodies: unknown[] = [];
    await using server = make({ tokenFile, maxBodyBytes: 100 });
    server.route("POST", "/api/v1/things", ({ body }) => {
      bodies.push(body);
      return json({ done: true }, 201);
    });
    const url = await start(server);
    const post = async (authorization: string | null, body: string | Blob = '{"a":1}') => {
      const headers: Record<string, string> = authorization === null ? {} : { authorization };
      // A stream is sent in chunks, without its length.
      const sent = typeof body === "string" ? body : body.stream();
      const reply = await fetch(`${url}/api/v1/things`, {
        method: "POST",
        headers,
        body: sent,
        duplex: "half",
      });
      await reply.text();
      return reply.status;
    };
    expect(await post(null)).toBe(401);
    expect(await post("Bearer wrong")).toBe(403);
    expect(await post("Basic right")).toBe(401);
    expect(bodies).toEqual([]);
    expect(await post("Bearer right")).toBe(201);
    expect(await post("Bearer right", "{")).toBe(400);
    expect(await post("Bearer right", JSON.stringify("x".repeat(200)))).toBe(413);
    expect(await post("Bearer right", JSON.stringify("x".repeat(4_000_000)))).toBe(413);
    expect(await post("Bearer right", new Blob(['"', "x".repeat(200), '"']))).toBe(413);
    expect(bodies).toEqual([{ a: 1 }]);
    writeFileSync(tokenFile, "newer");
    expect(await post("Bearer right")).toBe(403);
    writeFileSync(tokenFile, "");
    expect(await post("Bearer ")).toBe(500);
  });

  it("refuses whatever changes something when no token is set", async () => {
    await using server = make();
    server.route("POST", "/x", () => json({}));
    const reply = await fetch(`${await start(server)}/x`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
    });
    expect([reply.status, await reply.json()]).toEqual([
      403,
      { error: expect.stringContaining("httpTokenFile") },
    ]);
  });

  it("names a port that is taken, in one line", async () => {
    await using first = make();
    const listen = (await start(first)).replace("http://", "");
    await using second = make({ listen });
    const failure = second.start();
    await expect(failure).rejects.toThrow(HttpListenError);
    await expect(failure).rejects.toThrow(
      `http: ${listen} is taken by another process; write another host:port in "http" (or CIM_HTTP), or null for none`,
    );
    await expect(failure).rejects.toMatchObject({ exitCode: 2, cause: { code: "EADDRINUSE" } });
  });

  it("names an address that is not this machine's", async () => {
    await expect(make({ listen: "192.0.2.1:0" }).start()).rejects.toThrow(
      /192\.0\.2\.1:0 is not an address of this/,
    );
  });

  it("closes at once though a client keeps its connection and a handler hangs", async () => {
    const server = make();
    const { promise: entered, resolve } = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    server.route("GET", "/hangs", ({ signal }) => {
      signal.addEventListener("abort", () => gone.resolve());
      resolve();
      return new Promise(() => {});
    });
    const url = await start(server);
    const { hostname, port } = new URL(url);
    const idle = connect(Number(port), hostname);
    const idleClosed = new Promise((done) => idle.once("close", done));
    const hanging = fetch(`${url}/hangs`).catch(() => "cut");
    await entered;
    await server[Symbol.asyncDispose]();
    expect(await hanging).toBe("cut");
    await gone.promise;
    await idleClosed;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  it("is not there when it is turned off", async () => {
    await using server = make({ listen: null });
    expect(await server.start()).toEqual({ url: null });
  });
});
