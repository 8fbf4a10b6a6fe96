import type { EventFeed } from "./event-feed.ts";

/** A request as a route's handler sees it. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** The path's `:parameters`, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The body, undefined when there was none; at most the server's limit. */
  readonly body: unknown;
  /** Aborted when the client went away or the handler's time is over. */
  readonly signal: AbortSignal;
}

/** What a handler answers: a JSON document, a text of another kind, or events for as long as the client listens. */
export type HttpReply =
  | { readonly status?: number; readonly json: unknown }
  | { readonly events: EventFeed }
  | { readonly status?: number; readonly text: string; readonly contentType: string };

export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** Answers with a JSON document. */
export const json = (value: unknown, status = 200): HttpReply => ({ status, json: value });

/** Answers with `{"error": message}`. */
export const httpError = (status: number, message: string): HttpReply => ({
  status,
  json: { error: message },
});

interface Route {
  readonly method: string;
  readonly parts: readonly string[];
  readonly handler: HttpHandler;
}

export type Matched =
  | {
      readonly kind: "found";
      readonly handler: HttpHandler;
      readonly params: Readonly<Record<string, string>>;
    }
  | { readonly kind: "wrong-method"; readonly allow: readonly string[] }
  | { readonly kind: "not-found" }
  | { readonly kind: "malformed" };

/** Paths with `:parameters`, matched part by part; the first route that fits is taken. */
export class RouteTable {
  readonly #routes: Route[] = [];

  add(method: string, path: string, handler: HttpHandler): void {
    this.#routes.push({ method, parts: partsOf(path), handler });
  }

  match(method: string, path: string): Matched {
    let parts: string[];
    try {
      parts = partsOf(path).map(decodeURIComponent);
    } catch {
      return { kind: "malformed" };
    }
    const allow = new Set<string>();
    for (const route of this.#routes) {
      const params = paramsOf(route.parts, parts);
      if (params === null) continue;
      if (route.method === method || (method === "HEAD" && route.method === "GET")) {
        return { kind: "found", handler: route.handler, params };
      }
      allow.add(route.method);
      if (route.method === "GET") allow.add("HEAD");
    }
    return allow.size > 0 ? { kind: "wrong-method", allow: [...allow] } : { kind: "not-found" };
  }
}

const partsOf = (path: string): string[] => path.replace(/^\/+|\/+$/g, "").split("/");

function paramsOf(wanted: readonly string[], given: readonly string[]): Record<string, string> | null {
  if (wanted.length !== given.length) return null;
  const params: [string, string][] = [];
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) params.push([part.slice(1), value]);
    else if (part !== value) return null;
  }
  return Object.fromEntries(params);
}
