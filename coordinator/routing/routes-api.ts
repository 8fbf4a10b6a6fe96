import { type HttpServer, httpError, json } from "../../shared/observe/http-server.ts";
import { explain } from "./explain.ts";
import { refusalWords } from "./refusal-words.ts";
import type { RouteAsks } from "./route-ask.ts";
import type { RouteView } from "./route-view.ts";

/** `/api/v1/routes`: which leaf a command would go to now, and why. Asking changes nothing, no turn is taken. */
export type RouteAnswer = ReturnType<typeof answer>;

/** @param from the view that is chosen in, and how questions are read */
export function addRoutesApi(
  http: HttpServer,
  from: { readonly view: RouteView; readonly asks: RouteAsks },
): void {
  http.route("GET", "/api/v1/routes", ({ query }) => {
    const unknown = [...query.keys()].find((key) => !KNOWN.includes(key));
    if (unknown !== undefined) {
      return httpError(400, `there is no "${unknown}" in /api/v1/routes; write ${KNOWN.join(", ")}`);
    }
    const ask = {
      domain: query.get("domain") ?? "",
      command: query.get("command") ?? "",
      require: query.getAll("require").join(","),
      near: query.get("near") ?? undefined,
      strategy: query.get("strategy") ?? undefined,
    };
    const read = from.asks.read(ask, null);
    return read.ok ? json(answer(read.request, from.view)) : httpError(400, read.problem);
  });
}

const KNOWN = ["domain", "command", "require", "near", "strategy"];

function answer(request: Parameters<typeof explain>[0], view: RouteView) {
  const { chosen, refused, candidates } = explain(request, view, 0);
  const { domain, command, require, near, strategy, maxLagS } = request;
  return {
    domain,
    command,
    require,
    near,
    strategy,
    maxLagS,
    chosen,
    refused: refused === null ? null : { reason: refused, message: refusalWords(refused, request, view) },
    candidates,
    fleetVersion: view.version,
  };
}
