import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Conditions } from "./conditions.ts";
import type { EventFeed } from "./event-feed.ts";
import { HttpListenError, listenError } from "./http-listen-error.ts";
import { type HttpHandler, type HttpReply, httpError, json, RouteTable } from "./http-route.ts";
import { bearerRefusal } from "./http-token.ts";
import type { Log } from "./log.ts";

export { HttpListenError } from "./http-listen-error.ts";
export { type HttpHandler, type HttpReply, type HttpRequest, httpError, json } from "./http-route.ts";

// An `import` of node:http reads all its exports, one of which loads a web socket client: 13 MB of resident memory.
const { createServer } = process.getBuiltinModule("node:http");

/** The parts of `Metrics` that are needed. */
interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface HttpServerOptions {
  /** host:port, port 0 for any free one; null: no server, `start` does nothing. */
  readonly listen: string | null;
  readonly log: Log;
  /** What /readyz tells; without it the daemon is ready while it runs. */
  readonly conditions?: Pick<Conditions, "failing">;
  /** What /metrics tells; without it the path is not there. */
  readonly metrics?: MetricsText;
  /** File with the bearer token for every method but GET and HEAD; without it these are refused. Read at each use. */
  readonly tokenFile?: string | null;
  /** Largest request body, bytes. Default 64 KiB. */
  readonly maxBodyBytes?: number;
  /** Longest that a handler may take, milliseconds. Default 10 s: longer than any wait inside one. */
  readonly handlerTimeoutMs?: number;
}

/** A client must have sent its headers and body within these: a daemon has few clients, all of them near. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 5_000;
const MOST_CONNECTIONS = 128;
const MOST_HEADER_BYTES = 16 * 1024;

/** A daemon's HTTP: /healthz, /readyz, /metrics and the JSON routes that are added. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #routes = new RouteTable();
  #server: Server | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { conditions, metrics } = options;
    this.route("GET", "/healthz", () => json({ ok: true }));
    this.route("GET", "/readyz", () => {
      const failing = conditions?.failing() ?? [];
      return json({ ready: failing.length === 0, failing }, failing.length === 0 ? 200 : 503);
    });
    if (metrics !== undefined) {
      this.route("GET", "/metrics", async () => ({
        text: await metrics.text(),
        contentType: metrics.contentType,
      }));
    }
  }

  /** Adds a route: `route("GET", "/api/v1/nodes/:node", ({ params }) => json(…))`. HEAD comes with GET. */
  route(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, handler: HttpHandler): this {
    this.#routes.add(method, path, handler);
    return this;
  }

  /** Listens. Gives the base URL (null when there is to be no server). Throws HttpListenError, one line. */
  async start(): Promise<{ url: string | null }> {
    const { listen, log } = this.#options;
    if (listen === null) return { url: null };
    const colon = listen.lastIndexOf(":");
    const host = listen.slice(0, colon).replace(/^\[|\]$/g, "");
    const port = Number(listen.slice(colon + 1));
    if (colon < 1 || !Number.isInteger(port))
      throw new HttpListenError(listen, "is not host:port", undefined);
    const server = createServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: MOST_HEADER_BYTES,
    });
    server.maxConnections = MOST_CONNECTIONS;
    server.on("request", (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        log.warn({ err: error }, "http: a request could not be answered");
        response.destroy();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(listenError(listen, cause)));
      server.listen({ host, port }, resolve);
    });
    server.on("error", (error) => log.warn({ err: error }, "http: listener failed"));
    this.#server = server;
    const { port: bound } = server.address() as AddressInfo;
    return { url: `http://${reachable(host)}:${bound}` };
  }

  /** Stops at once: open connections are cut, no answer is waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abort = new AbortController();
    response.once("close", () => abort.abort());
    const method = request.method ?? "GET";
    const url = URL.parse(request.url ?? "/", "http://localhost");
    const matched =
      url === null ? ({ kind: "malformed" } as const) : this.#routes.match(method, url.pathname);
    if (url === null || matched.kind === "malformed") {
      return send(request, response, httpError(400, "the path is not a URL's"));
    }
    if (matched.kind === "not-found") {
      return send(request, response, httpError(404, `there is no ${url.pathname}`));
    }
    if (matched.kind === "wrong-method") {
      response.setHeader("Allow", matched.allow.join(", "));
      return send(request, response, httpError(405, `${method} is not for this path`));
    }
    if (method !== "GET" && method !== "HEAD") {
      const refusal = bearerRefusal(this.#options.tokenFile ?? null, request.headers.authorization);
      if (refusal !== null) {
        if (refusal.status === 401) response.setHeader("WWW-Authenticate", "Bearer");
        return send(request, response, httpError(refusal.status, refusal.message));
      }
    }
    const body = await readJson(request, this.#options.maxBodyBytes ?? 64 * 1024);
    if (!body.ok) return send(request, response, body.reply);
    const handled = await this.#handle(
      matched.handler,
      {
        method,
        path: url.pathname,
        params: matched.params,
        query: url.searchParams,
        body: body.value,
        signal: abort.signal,
      },
      abort,
    );
    send(request, response, handled);
  }

  async #handle(
    handler: HttpHandler,
    request: Parameters<HttpHandler>[0],
    abort: AbortController,
  ): Promise<HttpReply> {
    const { log, handlerTimeoutMs = 10_000 } = this.#options;
    const { promise: late, resolve } = Promise.withResolvers<HttpReply>();
    const timer = setTimeout(() => abort.abort(), handlerTimeoutMs);
    // Also when the client went away or the server closes: nobody waits for the rest of the time then.
    abort.signal.addEventListener("abort", () => {
      resolve(httpError(503, `not answered within ${handlerTimeoutMs} ms`));
    });
    try {
      return await Promise.race([handler(request), late]);
    } catch (error) {
      if (!abort.signal.aborted) log.error({ err: error, path: request.path }, "http: a handler failed");
      return httpError(500, "the daemon failed to answer; its log says why");
    } finally {
      clearTimeout(timer);
    }
  }
}

type Body =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reply: HttpReply };

async function readJson(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const chunks: Buffer[] = [];
  const tooLarge: Body = { ok: false, reply: httpError(413, `a body has at most ${maxBytes} bytes`) };
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return tooLarge;
  let size = 0;
  // The connection has to outlive a body that is not read to its end, for the answer to get through.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) return tooLarge;
    chunks.push(chunk);
  }
  if (size === 0) return { ok: true, value: undefined };
  try {
    return { ok: true, value: JSON.parse(Buffer.concat(chunks).toString("utf8")) };
  } catch {
    return { ok: false, reply: httpError(400, "the body is not JSON") };
  }
}

function send(request: IncomingMessage, response: ServerResponse, reply: HttpReply): void {
  if (response.headersSent || response.destroyed) return;
  if ("events" in reply) {
    sendEvents(request, response, reply.events);
    return;
  }
  const text = "json" in reply ? `${JSON.stringify(reply.json)}\n` : reply.text;
  // What is left of a body that was not read must not be taken for the next request.
  if (!request.complete) response.setHeader("Connection", "close");
  response.writeHead(reply.status ?? 200, {
    "Content-Type": "json" in reply ? "application/json; charset=utf-8" : reply.contentType,
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : text);
}

function sendEvents(request: IncomingMessage, response: ServerResponse, feed: EventFeed): void {
  if (feed.isFull) {
    send(request, response, httpError(503, "too many listen already; come back later"));
    return;
  }
  feed.attach(request, response);
  if (request.method === "HEAD") response.end();
}

/** A listener on every address is reached on loopback from here. */
function reachable(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
