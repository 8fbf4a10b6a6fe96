import { LRUCache } from "lru-cache";
import { isDomain, isToken } from "../../shared/protocol/subjects.ts";
import { type Near, type RouteRequest, STRATEGIES, type StrategyName } from "./route-node.ts";

/** What is asked for, in the words of headers, of a query string or of a command line. */
export interface RouteAsk {
  readonly domain: string;
  readonly command: string;
  /** Capabilities with commas. */
  readonly require?: string | undefined;
  /** A region, or `latitude,longitude`. */
  readonly near?: string | undefined;
  readonly strategy?: string | undefined;
}

/** What holds where nothing is asked for. */
export interface RouteDefaults {
  readonly strategy: StrategyName;
  readonly maxLagS: number | null;
}

export type ReadAsk =
  | { readonly ok: true; readonly request: RouteRequest }
  /** One line: what is wrong, and what to write. */
  | { readonly ok: false; readonly problem: string };

const LABEL = /^[A-Za-z0-9][\w.-]{0,62}$/;
/** Requests that come again are the same object, which is quicker to choose for. */
const MOST_REMEMBERED = 10_000;

/** Reads what is asked for, and remembers it. */
export class RouteAsks {
  #defaults: RouteDefaults;
  readonly #remembered = new LRUCache<string, RouteRequest>({ max: MOST_REMEMBERED });

  constructor(defaults: RouteDefaults) {
    this.#defaults = defaults;
  }

  /** Others hold from now on. */
  configure(defaults: RouteDefaults): void {
    this.#defaults = defaults;
    this.#remembered.clear();
  }

  /** @param caller where the asking program is: what is near to it is preferred, unless it says otherwise */
  read(ask: RouteAsk, caller: Near | null): ReadAsk {
    const { domain, command, require = "", near = "", strategy = "" } = ask;
    const place = near === "" ? placeWords(caller) : near;
    const key = `${domain} ${command} ${require}|${place}|${strategy}`;
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined) return { ok: true, request: remembered };
    const problem = problemOf(ask);
    if (problem !== undefined) return { ok: false, problem };
    const request: RouteRequest = {
      domain,
      command,
      require: listOf(require),
      near: near === "" ? caller : nearOf(near),
      strategy: strategy === "" ? this.#defaults.strategy : (strategy as StrategyName),
      maxLagS: this.#defaults.maxLagS,
      unannounced: false,
    };
    this.#remembered.set(key, request);
    return { ok: true, request };
  }
}

function problemOf({
  domain,
  command,
  require = "",
  near = "",
  strategy = "",
}: RouteAsk): string | undefined {
  if (!isDomain(domain)) {
    return `"${domain}" is not a domain; write one word without dots, not beginning with _, as orders`;
  }
  if (!isToken(command)) return `"${command}" is not a command; write one word without dots, as PlaceOrder`;
  const bad = listOf(require).find((one) => !LABEL.test(one));
  if (bad !== undefined) return `"${bad}" is not a capability; write words with commas, as gpu,camera`;
  if (near !== "" && nearOf(near) === null) {
    return `near: "${near}" is no place; write a region, as eu, or latitude,longitude, as 52.5,13.4`;
  }
  if (strategy !== "" && !(STRATEGIES as readonly string[]).includes(strategy)) {
    return `there is no strategy "${strategy}"; write ${STRATEGIES.slice(0, -1).join(", ")} or ${STRATEGIES.at(-1)}`;
  }
  return undefined;
}

const listOf = (words: string): string[] =>
  [
    ...new Set(
      words
        .split(",")
        .map((word) => word.trim())
        .filter((word) => word !== ""),
    ),
  ].sort();

/** null: neither a region nor a pair of degrees. */
function nearOf(text: string): Near | null {
  const [, latitude, longitude] = /^(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (latitude !== undefined && longitude !== undefined) {
    const place = { latitude: Number(latitude), longitude: Number(longitude) };
    const isOnEarth = Math.abs(place.latitude) <= 90 && Math.abs(place.longitude) <= 180;
    return isOnEarth ? { region: null, coordinates: place } : null;
  }
  return LABEL.test(text) ? { region: text, coordinates: null } : null;
}

function placeWords(near: Near | null): string {
  if (near === null) return "";
  const { region, coordinates } = near;
  return coordinates === null ? `@${region}` : `@${region}@${coordinates.latitude},${coordinates.longitude}`;
}
