import { LRUCache } from "lru-cache";
import type { Coordinates } from "../../shared/protocol/messages.ts";
import { middleOf } from "./distance.ts";
import type { Exclusion } from "./filters.ts";
import { HandlerGroups } from "./handler-groups.ts";
import { type RequestKind, RequestKinds } from "./request-kinds.ts";
import { RouteClass } from "./route-class.ts";
import type { NodeLoad, RouteEntry, RouteNode, RouteRequest } from "./route-node.ts";

/** What all kinds of request that are kept at hand may hold together, entries: some 64 MB. */
const MOST_KEPT = 8_000_000;
/** A kind that is asked for after more changes than this looks at all nodes anew. */
const MOST_REPLAYED = 512;

interface Slot extends RouteEntry {
  node: RouteNode;
  load: { reported: number; inFlight: number };
}

/**
 * The leaves among which is chosen. For each kind of request it keeps the best at hand and brings them up to date by what
 * has changed since they were asked for, so that a choice costs a look-up whatever the size of the fleet. What it answers
 * depends on its nodes alone, not on what was asked before: `explain` looks at every node and must say the same.
 */
export class RouteView {
  readonly #slots = new Map<string, Slot>();
  readonly #byPlace: (Slot | undefined)[] = [];
  readonly #classes = new LRUCache<RequestKind, RouteClass>({
    maxSize: MOST_KEPT,
    sizeCalculation: ({ best }) => best.length + 64,
  });
  /** Places of the nodes that changed, from change `#firstChange` on. */
  #changes: number[] = [];
  #firstChange = 0;
  /** Raised when somebody stands elsewhere: "near" a region may mean another place. */
  #places = 0;
  readonly #handlers = new HandlerGroups();
  readonly #kinds = new RequestKinds(this.#handlers);
  readonly #middles = new Map<string, Coordinates | null>();

  /** Raised by every change of a node; not by its load. */
  get version(): number {
    return this.#firstChange + this.#changes.length;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(name: string): RouteEntry | undefined {
    return this.#slots.get(name);
  }

  /** In the order in which choices are made. */
  *entries(): Generator<RouteEntry> {
    for (const slot of this.#byPlace) if (slot !== undefined) yield slot;
  }

  /** Takes a node over. The object must not be changed later. Gives false when it is as it was. */
  set(node: RouteNode): boolean {
    const slot = this.#slots.get(node.name);
    if (slot !== undefined && isAlike(slot.node, node)) return false;
    if (slot?.node.region !== node.region || !isSamePlace(slot.node.coordinates, node.coordinates)) {
      this.#moved();
    }
    const { generation } = this.#handlers;
    this.#handlers.note(node.handlers);
    if (this.#handlers.generation !== generation) {
      this.#kinds.clear();
      this.#classes.clear();
    }
    if (slot !== undefined) {
      slot.node = node;
      this.#changed(slot.at);
      return true;
    }
    const free = this.#byPlace.indexOf(undefined);
    const at = free < 0 ? this.#byPlace.length : free;
    const added: Slot = { at, node, load: { reported: 0, inFlight: 0 } };
    this.#byPlace[at] = added;
    this.#slots.set(node.name, added);
    this.#changed(at);
    return true;
  }

  /** Gives false when there is none of that name. */
  remove(name: string): boolean {
    const slot = this.#slots.get(name);
    if (slot === undefined) return false;
    this.#slots.delete(name);
    this.#byPlace[slot.at] = undefined;
    this.#moved();
    this.#changed(slot.at);
    return true;
  }

  setLoad(name: string, load: Partial<NodeLoad>): void {
    const slot = this.#slots.get(name);
    if (slot !== undefined) Object.assign(slot.load, load);
  }

  /** The best leaves for a request, in the view's order; none: nobody fits. */
  best(request: RouteRequest): readonly RouteEntry[] {
    return this.#classOf(request).best;
  }

  /** What left the last of the others out; undefined: there is no node at all. */
  whyNobody(request: RouteRequest): Exclusion | undefined {
    return this.#classOf(request).whyNobody(this.#byPlace);
  }

  /** Where "near" is, for a strategy that asks for distances; null: nobody said, or it is not known. */
  nearOf({ near, strategy }: RouteRequest): Coordinates | null {
    if (near === null || strategy !== "location-aware") return null;
    if (near.coordinates !== null || near.region === null) return near.coordinates;
    const { region } = near;
    let middle = this.#middles.get(region);
    if (middle === undefined) {
      middle = middleOf(
        [...this.#slots.values()].map(({ node }) => node),
        region,
      );
      this.#middles.set(region, middle);
    }
    return middle;
  }

  #classOf(request: RouteRequest): RouteClass {
    const kind = this.#kinds.of(request);
    let found = this.#classes.get(kind);
    if (found?.version === this.version) return found;
    found ??= new RouteClass(request);
    this.#catchUp(found);
    this.#classes.set(kind, found);
    return found;
  }

  #catchUp(found: RouteClass): void {
    const near = this.nearOf(found.request);
    const missed = this.version - found.version;
    const { strategy, near: wanted } = found.request;
    const moved = strategy === "location-aware" && wanted !== null && found.places !== this.#places;
    let right = found.version >= this.#firstChange && missed <= MOST_REPLAYED && !moved;
    for (let change = found.version; right && change < this.version; change++) {
      const at = this.#changes[change - this.#firstChange] as number;
      right = found.change(at, this.#byPlace[at], near);
    }
    if (!right) found.rebuild(this.entries(), near);
    found.version = this.version;
    found.places = this.#places;
  }

  #changed(at: number): void {
    this.#changes.push(at);
    if (this.#changes.length <= 2 * MOST_REPLAYED) return;
    this.#changes = this.#changes.slice(MOST_REPLAYED);
    this.#firstChange += MOST_REPLAYED;
  }

  #moved(): void {
    this.#places += 1;
    this.#middles.clear();
  }
}

function isAlike(a: RouteNode, b: RouteNode): boolean {
  return (
    a.health === b.health &&
    a.doubtful === b.doubtful &&
    a.lagS === b.lagS &&
    a.rttMs === b.rttMs &&
    a.region === b.region &&
    isSamePlace(a.coordinates, b.coordinates) &&
    areSame(a.capabilities, b.capabilities) &&
    areSame(a.domains, b.domains) &&
    (a.handlers === b.handlers ||
      (a.handlers !== null && b.handlers !== null && areSame(a.handlers, b.handlers)))
  );
}

const isSamePlace = (a: Coordinates | null, b: Coordinates | null): boolean =>
  a === b || (a !== null && b !== null && a.latitude === b.latitude && a.longitude === b.longitude);

const areSame = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((one, index) => one === b[index]));
