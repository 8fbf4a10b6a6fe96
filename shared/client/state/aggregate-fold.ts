import { OWN_LANE } from "../../consistency/clock/clock-header.ts";
import { compareTimes, type HybridTime } from "../../consistency/clock/hybrid-clock.ts";
import { timeOfStamp } from "../../consistency/clock/stamp.ts";
import {
  decodeVector,
  nodeOfLane,
  outboxLane,
  type VersionVector,
} from "../../consistency/clock/version-vector.ts";
import type { FoldEvent } from "../../consistency/resolve/fold-event.ts";
import type { Resolver, StateView } from "../../consistency/resolve/resolver.ts";
import type { StoredState } from "../../consistency/state/stored-state.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { type AggregateState, StateUnavailable } from "./aggregate-state.ts";
import { formatVersion } from "./state-version.ts";

export interface AggregateFoldInit {
  readonly node: string;
  readonly domain: string;
  readonly aggregate: string;
  /** As the node's folder stored it; undefined: nothing is. */
  readonly stored: StoredState | undefined;
  /** Loads what can fold the domain's events. Asked only when there are some that are not in the stored state. */
  readonly resolver: () => Promise<Resolver<unknown>>;
}

/** Takes a stored state further by the events that are not in it yet. */
export class AggregateFold {
  readonly #init: AggregateFoldInit;
  #resolver: Resolver<unknown> | undefined;
  #state: unknown;
  #time: HybridTime;
  #provisional = 0;
  /** `<reign>.<index>` of the newest event of the log that is in it; null: none. */
  position: string | null;

  constructor(init: AggregateFoldInit) {
    this.#init = init;
    this.position = init.stored?.log ?? null;
    this.#time = init.stored?.time ?? { ms: 0, counter: 0 };
  }

  /** What is in it, by lane. */
  get seen(): VersionVector {
    if (this.#resolver) return this.#resolver.seen(this.#state);
    return decodeVector(this.#init.stored?.seen ?? {});
  }

  /** An event of the log that stands at `position`; one that is in it already changes nothing. */
  async takeLogged(event: FoldEvent, position: string): Promise<void> {
    if (event.index <= (parseLogPosition(this.position ?? undefined)?.index ?? 0)) return;
    if (await this.#take(event)) this.position = position;
  }

  /** An event of the node's own outbox that the log does not have yet. */
  async takeOwn(event: FoldEvent): Promise<void> {
    if (await this.#take(event)) this.#provisional += 1;
  }

  /** @param complete whether nothing is known to be missing */
  result(incarnation: number | undefined, complete: boolean): AggregateState {
    const { node, domain, aggregate } = this.#init;
    const { value, deleted, siblings } = this.#view();
    return {
      domain,
      aggregate,
      value: value ?? null,
      deleted,
      siblings: siblings.map(({ path, versions }) => ({
        path,
        versions: versions.map(({ value, id, dot }) => ({
          value,
          event: id,
          node: dot.lane === OWN_LANE ? node : nodeOfLane(dot.lane),
        })),
      })),
      version: formatVersion({ node, clock: { time: this.#time, seen: this.#context(incarnation) } }),
      provisional: this.#provisional,
      position: this.position,
      complete,
    };
  }

  /** What is only in the outbox yet means something on this node alone: its lane is written as the writer's own. */
  #context(incarnation: number | undefined): VersionVector {
    const seen = this.seen;
    if (this.#provisional === 0 || incarnation === undefined) return seen;
    const lane = outboxLane(this.#init.node, incarnation);
    return new Map([...seen].map(([one, seq]) => [one === lane ? OWN_LANE : one, seq]));
  }

  #view(): StateView {
    if (this.#resolver) return this.#resolver.view(this.#state);
    const { stored } = this.#init;
    if (!stored) return { value: null, deleted: false, siblings: [] };
    const { value, deleted } = stored;
    // The schema leaves open what a version has besides its value; it has all that a resolver's view has.
    return { value, deleted, siblings: stored.siblings as unknown as StateView["siblings"] };
  }

  /** False: it can't be folded, and no node has it in its state. */
  async #take(event: FoldEvent): Promise<boolean> {
    const resolver = await this.#ready();
    try {
      this.#state = resolver.apply(this.#state, event);
    } catch {
      return false;
    }
    const time = timeOfStamp(event.stamp);
    if (compareTimes(time, this.#time) > 0) this.#time = time;
    return true;
  }

  /** @throws {StateUnavailable} */
  async #ready(): Promise<Resolver<unknown>> {
    if (this.#resolver) return this.#resolver;
    const { stored, node, domain } = this.#init;
    const resolver = await this.#init.resolver();
    if (stored && stored.resolver !== resolver.name)
      throw new StateUnavailable(
        `${node} still has ${domain} as ${stored.resolver} made it, and its contract says ${resolver.name} now: ask again when the states are rebuilt`,
      );
    this.#state = stored ? resolver.decode(stored.state) : resolver.empty();
    this.#resolver = resolver;
    return resolver;
  }
}
