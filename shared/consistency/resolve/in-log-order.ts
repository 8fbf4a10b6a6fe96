import { decodeVector, encodeVector, raise } from "../clock/version-vector.ts";
import type { FoldEvent } from "./fold-event.ts";
import type { Note, Resolver, StateView } from "./resolver.ts";
import { onlyLanes } from "./version.ts";

/**
 * A fold that takes events in the log's order only. That is an order of cause and effect: an event stands behind all that
 * its writer had seen.
 */
export interface OrderedFold<C> {
  readonly name: string;
  empty(): C;
  /** Why it can't be folded; undefined: it can. Asked before `apply`. */
  refusal?(event: FoldEvent): string | undefined;
  /**
   * May change the content and give it back.
   * @throws what it likes when the event can't be folded; the content is then as it was
   */
  apply(content: C, event: FoldEvent, note?: Note): C;
  view(content: C): StateView;
  /** Forgets what no event taken at or after a time, ms, can ask for, and adds the lanes of all that is left. */
  compact(content: C, ingestMs: number, lanes: Set<string>): C;
  encode(content: C): unknown;
  decode(json: unknown): C;
}

/** A content, and what it takes to come to the same one when an event arrives that stands before others. */
export interface Ordered<C> {
  /** Undefined: to be made again from the base and the events since. */
  content: C | undefined;
  /** The content up to `index`, as JSON; undefined: it is `content`, as nothing came since. */
  base: unknown;
  index: number;
  /** Since then, by index. */
  since: FoldEvent[];
  seen: Map<string, number>;
}

/**
 * Makes of it a resolver that holds in any order and for any repetition: what arrives early is put in its place among the
 * events that are not known to be complete. In the log's order that costs an entry in a list, until it is compacted.
 */
export function inLogOrder<C>(fold: OrderedFold<C>): Resolver<Ordered<C>> {
  const contentOf = (state: Ordered<C>): C => {
    if (state.content === undefined) {
      state.content = replay(fold, fold.decode(state.base), state.since);
    }
    return state.content;
  };

  return {
    name: fold.name,
    empty: () => {
      const content = fold.empty();
      return { content, base: fold.encode(content), index: 0, since: [], seen: new Map() };
    },
    apply(state, event, note) {
      if (event.index <= state.index) return state;
      const at = placeFor(state.since, event.index);
      if (state.since[at]?.index === event.index) return state;
      const refusal = fold.refusal?.(event);
      if (refusal !== undefined) throw new TypeError(refusal);
      const content = at === state.since.length ? contentOf(state) : undefined;
      state.base ??= fold.encode(content as C);
      state.content = content === undefined ? undefined : fold.apply(content, event, note);
      state.since.splice(at, 0, event);
      raise(state.seen, event.dot.lane, event.dot.seq);
      return state;
    },
    view: (state) => fold.view(contentOf(state)),
    seen: (state) => state.seen,
    compact(state, { index, ingestMs }) {
      const lanes = new Set<string>();
      const at = placeFor(state.since, index + 1);
      if (at === state.since.length) {
        state.content = fold.compact(contentOf(state), ingestMs, lanes);
        state.since = [];
        state.base = undefined;
      } else {
        const base = replay(fold, fold.decode(state.base), state.since.splice(0, at));
        state.base = fold.encode(fold.compact(base, ingestMs, lanes));
        for (const { dot } of state.since) lanes.add(dot.lane);
        state.content = undefined;
      }
      state.index = Math.max(state.index, index);
      state.seen = onlyLanes(state.seen, lanes);
      return state;
    },
    encode(state) {
      if (state.base === undefined) state.base = fold.encode(contentOf(state));
      const since = state.since.map(encodeEvent);
      const { index, base } = state;
      return { v: 1, index, seen: encodeVector(state.seen), base, ...(since.length > 0 && { since }) };
    },
    decode(json) {
      const state = json as {
        v?: unknown;
        index?: unknown;
        seen?: unknown;
        base?: unknown;
        since?: unknown[];
      };
      if (state?.v !== 1 || typeof state.index !== "number" || state.base === undefined)
        throw new TypeError(`no state of ${fold.name}`);
      const since = (state.since ?? []).map(decodeEvent);
      // Read now, so that what is no state of this resolver is refused here.
      const content = since.length === 0 ? fold.decode(state.base) : undefined;
      return { content, base: state.base, index: state.index, since, seen: decodeVector(state.seen) };
    },
  };
}

/** What throws now was put in its place before what made it throw: told in the log's order it would not be in. */
function replay<C>(fold: OrderedFold<C>, from: C, events: readonly FoldEvent[]): C {
  let content = from;
  for (const event of events) {
    try {
      content = fold.apply(content, event);
    } catch {}
  }
  return content;
}

/** Where in the list an index stands or would stand; nearly always at its end. */
function placeFor(events: readonly FoldEvent[], index: number): number {
  const last = events.at(-1);
  if (!last || last.index < index) return events.length;
  let [from, to] = [0, events.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((events[middle] as FoldEvent).index < index) from = middle + 1;
    else to = middle;
  }
  return from;
}

const encodeEvent = (event: FoldEvent) => ({
  ...event,
  seen: encodeVector(event.seen),
  retired: [...event.retired],
});

function decodeEvent(json: unknown): FoldEvent {
  const event = json as ReturnType<typeof encodeEvent>;
  return { ...event, seen: decodeVector(event.seen), retired: new Set(event.retired) };
}
