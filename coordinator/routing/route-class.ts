import type { Coordinates } from "../../shared/protocol/messages.ts";
import { EXCLUSIONS, type Exclusion, exclusionOf } from "./filters.ts";
import type { RouteEntry, RouteRequest } from "./route-node.ts";
import { standingOf } from "./strategies.ts";

/**
 * The best leaves for one kind of request, kept right while single nodes change. Entries are in the view's order, so that
 * what is chosen does not depend on how this came about.
 */
export class RouteClass {
  readonly request: RouteRequest;
  /** The change of the view up to which this is right. */
  version = -1;
  /** The view's places that standings were made with. */
  places = -1;
  readonly best: RouteEntry[] = [];
  #standing = Number.POSITIVE_INFINITY;
  #leftOut: LeftOut | undefined;

  constructor(request: RouteRequest) {
    this.request = request;
  }

  /** Looks at every node. */
  rebuild(entries: Iterable<RouteEntry>, near: Coordinates | null): void {
    this.best.length = 0;
    this.#standing = Number.POSITIVE_INFINITY;
    this.#leftOut = undefined;
    for (const entry of entries) {
      const standing = this.#standingOf(entry, near);
      if (standing > this.#standing || standing === Number.POSITIVE_INFINITY) continue;
      if (standing < this.#standing) this.best.length = 0;
      this.#standing = standing;
      this.best.push(entry);
    }
  }

  /**
   * Takes over that one node is another, new, or gone. Gives false when every node must be looked at: the last of the best
   * is not among them any more.
   */
  change(at: number, entry: RouteEntry | undefined, near: Coordinates | null): boolean {
    if (this.#leftOut?.note(at, entry, this.request) === false) this.#leftOut = undefined;
    const place = placeOf(this.best, at);
    const isIn = this.best[place]?.at === at;
    const standing = entry === undefined ? Number.POSITIVE_INFINITY : this.#standingOf(entry, near);
    if (entry !== undefined && standing < this.#standing) {
      this.best.length = 0;
      this.best.push(entry);
      this.#standing = standing;
    } else if (entry !== undefined && standing === this.#standing && standing < Number.POSITIVE_INFINITY) {
      this.best.splice(place, isIn ? 1 : 0, entry);
    } else if (isIn) {
      this.best.splice(place, 1);
      return this.best.length > 0;
    }
    return true;
  }

  /** What left the last candidates out. `entries`: the view's, by their place. */
  whyNobody(entries: readonly (RouteEntry | undefined)[]): Exclusion | undefined {
    this.#leftOut ??= new LeftOut(entries, this.request);
    return this.#leftOut.furthest;
  }

  #standingOf({ node }: RouteEntry, near: Coordinates | null): number {
    return exclusionOf(node, this.request) === undefined
      ? standingOf(node, this.request, near)
      : Number.POSITIVE_INFINITY;
  }
}

/** Of a kind that is refused: how many were left out by what, so that a refusal costs no more than a choice. */
class LeftOut {
  readonly #byPlace: Uint8Array;
  readonly #counts = new Uint32Array(EXCLUSIONS.length + 1);

  constructor(entries: readonly (RouteEntry | undefined)[], request: RouteRequest) {
    this.#byPlace = new Uint8Array(entries.length);
    for (const [at, entry] of entries.entries()) this.note(at, entry, request);
  }

  /** Gives false for a place that was not there when this was made. */
  note(at: number, entry: RouteEntry | undefined, request: RouteRequest): boolean {
    const before = this.#byPlace[at];
    if (before === undefined) return false;
    const why = entry === undefined ? undefined : exclusionOf(entry.node, request);
    const now = why === undefined ? 0 : EXCLUSIONS.indexOf(why) + 1;
    this.#byPlace[at] = now;
    if (before > 0) this.#counts[before] = (this.#counts[before] as number) - 1;
    if (now > 0) this.#counts[now] = (this.#counts[now] as number) + 1;
    return true;
  }

  get furthest(): Exclusion | undefined {
    return EXCLUSIONS[this.#counts.findLastIndex((count) => count > 0) - 1];
  }
}

/** Where the entry is, or would be (binary search). */
function placeOf(entries: readonly RouteEntry[], at: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as RouteEntry).at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
