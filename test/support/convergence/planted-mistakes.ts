import type { FoldEvent } from "../../../shared/consistency/resolve/fold-event.ts";
import { loadResolver } from "../../../shared/consistency/resolve/load-resolver.ts";
import type { Resolver } from "../../../shared/consistency/resolve/resolver.ts";
import { TRIED, type TriedContract } from "./judge-history.ts";

/** A resolver that somebody got wrong: what it is told of an event is not what the event says. */
export interface Planted {
  readonly mistake: string;
  readonly contract: TriedContract;
  readonly resolver: () => Promise<Resolver<unknown>>;
}

const tried = (name: string): TriedContract => {
  const found = TRIED.find(([one]) => one === name);
  if (!found) throw new Error(`no ${name} is tried`);
  return found[1];
};

/** Applies other events than it is given. @param told one or more, from the event and how many came before it */
function misread(
  name: string,
  mistake: string,
  told: (event: FoldEvent, before: number) => readonly FoldEvent[],
): Planted {
  const contract = tried(name);
  const resolver = async () => {
    const right = await loadResolver(contract);
    let before = 0;
    return {
      ...right,
      apply: (state: unknown, event: FoldEvent) =>
        told(event, before++).reduce((next, one) => right.apply(next, one), state),
    };
  };
  return { mistake, contract, resolver };
}

const stamped = (event: FoldEvent, stamp: Partial<FoldEvent["stamp"]>): FoldEvent[] => [
  { ...event, stamp: { ...event.stamp, ...stamp } },
];

export const PLANTED: readonly Planted[] = [
  misread("last-write-wins by field", "the last to arrive wins", (event, before) =>
    stamped(event, { ms: before }),
  ),
  misread("last-write-wins by field", "of one ms the last to arrive wins", (event, before) =>
    stamped(event, { order: before }),
  ),
  misread("last-write-wins by document", "the log's order wins", (event) =>
    stamped(event, { ms: event.index }),
  ),
  misread("last-write-wins by field", "a delete is taken for no change", (event) => [
    event.data === null ? { ...event, data: undefined } : event,
  ]),
  misread("vector-clock by field", "a later write is taken to have seen all", (event) => [
    { ...event, seen: { get: () => Number.MAX_SAFE_INTEGER } as unknown as FoldEvent["seen"] },
  ]),
  misread("vector-clock by field", "a write without a clock is taken to have seen nothing", (event) => [
    event.clockless ? { ...event, seen: new Map() } : event,
  ]),
  misread("vector-clock by document", "retired nodes are forgotten", (event) => [
    { ...event, retired: new Set() },
  ]),
  misread("crdt: counter", "what comes twice counts twice", (event, before) => [
    { ...event, index: event.index + (before % 97) / 100 },
  ]),
  misread("crdt: set", "a delete takes what it has not seen", (event) => [
    { ...event, seen: { get: () => Number.MAX_SAFE_INTEGER } as unknown as FoldEvent["seen"] },
  ]),
  misread("crdt: register", "ties go to the last to arrive", (event, before) =>
    stamped(event, { lane: `n${before}/1` }),
  ),
  misread("crdt: map of multi-value", "events are folded as they arrive", (event, before) => [
    { ...event, index: before + 1 },
  ]),
  misread("crdt: text", "every third event is lost", (event, before) => (before % 3 === 2 ? [] : [event])),
];
