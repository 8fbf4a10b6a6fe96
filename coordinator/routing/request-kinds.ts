import type { HandlerGroups } from "./handler-groups.ts";
import type { RouteRequest } from "./route-node.ts";

/** Stands for all requests that are chosen for alike: the same object for each of them, until the kinds are forgotten. */
export interface RequestKind {
  readonly next: Map<unknown, RequestKind>;
}

const ANY_HANDLER = Symbol("any handler");
const NEAR = Symbol("near");
/** Words come from callers: what they think up must not fill the memory. */
const MOST_BRANCHES = 200_000;

/**
 * What kind a request is: all that a choice depends on, but the nodes. Found word by word, in a tree of maps: to put the words
 * together into one key costs several times as much, and to go by the request object says nothing about an equal one.
 */
export class RequestKinds {
  readonly #handlers: HandlerGroups;
  #root: RequestKind = { next: new Map() };
  #branches = 0;

  constructor(handlers: HandlerGroups) {
    this.#handlers = handlers;
  }

  clear(): void {
    this.#root = { next: new Map() };
    this.#branches = 0;
  }

  /** Words that may be left out or repeated come last, and what follows the capabilities is no text: no two kinds share a way. */
  of({ strategy, domain, command, maxLagS, unannounced, require, near }: RouteRequest): RequestKind {
    if (this.#branches > MOST_BRANCHES) this.clear();
    let kind = this.#step(this.#root, strategy);
    kind = this.#step(kind, domain);
    kind = this.#step(kind, unannounced ? ANY_HANDLER : this.#handlers.groupOf(domain, command));
    kind = this.#step(kind, maxLagS);
    for (const capability of require) kind = this.#step(kind, capability);
    if (near === null || strategy !== "location-aware") return kind;
    kind = this.#step(this.#step(kind, NEAR), near.region);
    if (near.coordinates === null) return kind;
    return this.#step(this.#step(kind, near.coordinates.latitude), near.coordinates.longitude);
  }

  #step(from: RequestKind, word: unknown): RequestKind {
    let to = from.next.get(word);
    if (to === undefined) {
      to = { next: new Map() };
      from.next.set(word, to);
      this.#branches += 1;
    }
    return to;
  }
}
