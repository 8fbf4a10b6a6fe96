import { encodeVector } from "../clock/version-vector.ts";
import type { FoldEvent } from "../resolve/fold-event.ts";
import { canonicalJson } from "../resolve/json-value.ts";
import type { Resolver } from "../resolve/resolver.ts";
import { below, chance, type Random, shuffled } from "./seeded-random.ts";

/** A rule that a resolver broke, for people. */
export interface Violation {
  readonly rule: "order" | "repetition" | "partition" | "storing" | "compaction" | "determinism" | "input";
  readonly text: string;
}

/**
 * What a resolver does with one history, against the rules that every resolver keeps: whatever the order, the repetition and
 * the grouping, what is stored in between and forgotten in between, the same events come to the same.
 * Events on which `apply` throws are left out, as a fold sets them aside.
 * @param history in the log's order; is frozen
 */
export function violationsOf<S>(
  resolver: Resolver<S>,
  history: readonly FoldEvent[],
  random: Random,
): Violation[] {
  for (const event of history) deepFreeze(event.data);
  const violations: Violation[] = [];
  const check = (rule: Violation["rule"], fold: () => string) => {
    let found: string;
    try {
      found = fold();
    } catch (error) {
      found = `an error: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (found !== expected)
      violations.push({ rule, text: `${BROKEN[rule]}: ${shortened(found)}, not ${shortened(expected)}` });
  };

  const taken: FoldEvent[] = [];
  let state = resolver.empty();
  for (const event of history) {
    try {
      state = resolver.apply(state, event);
      taken.push(event);
    } catch (error) {
      if (
        error instanceof TypeError &&
        /read.only|not extensible|Cannot (add|assign|delete)/i.test(error.message)
      )
        violations.push({ rule: "input", text: `changes the event that it is given: ${error.message}` });
    }
  }
  const expected = shown(resolver, state);
  const foldAll = (events: readonly FoldEvent[], from: S = resolver.empty()) =>
    events.reduce((before, event) => resolver.apply(before, event), from);

  check("determinism", () => shown(resolver, foldAll(taken)));
  check("determinism", () => shown(resolver, state));
  check("order", () => shown(resolver, foldAll([...taken].reverse())));
  for (let n = 0; n < 3; n++) check("order", () => shown(resolver, foldAll(shuffled(random, taken))));
  check("repetition", () => shown(resolver, foldAll(taken.flatMap((event) => [event, event]))));
  check("repetition", () => shown(resolver, foldAll(shuffled(random, [...taken, ...taken]))));
  check("partition", () => {
    const here = taken.filter(() => chance(random, 0.5));
    const there = taken.filter((event) => !here.includes(event) || chance(random, 0.2));
    return shown(resolver, foldAll(shuffled(random, there), foldAll(here)));
  });
  check("storing", () => {
    let stored = resolver.empty();
    for (const event of shuffled(random, taken)) {
      stored = resolver.apply(stored, event);
      if (chance(random, 0.3)) stored = restored(resolver, stored);
    }
    return shown(resolver, restored(resolver, stored));
  });
  check("compaction", () => shown(resolver, compacting(resolver, taken, random)));
  // What is forgotten sooner or later must leave the same behind.
  if (violations.length === 0) checkForms(resolver, taken, random, violations);
  return violations;
}

const BROKEN: Readonly<Record<Violation["rule"], string>> = {
  order: "another order of the same events gives",
  repetition: "events given twice give",
  partition: "two parts of the events, one after the other, give",
  storing: "a state that was stored and read again in between gives",
  compaction: "a state that was compacted in between gives",
  determinism: "the same once more gives",
  input: "changes what it is given",
};

/** In the log's order, forgetting now and then, and what comes behind that in any order. */
function compacting<S>(resolver: Resolver<S>, events: readonly FoldEvent[], random: Random): S {
  let state = resolver.empty();
  for (let at = 0; at < events.length; ) {
    const part = events.slice(at, at + 1 + below(random, 5));
    at += part.length;
    for (const event of shuffled(random, part)) state = resolver.apply(state, event);
    const { index, ingestMs } = part.at(-1) as FoldEvent;
    state = restored(resolver, resolver.compact(state, { index, ingestMs }));
  }
  return state;
}

function checkForms<S>(
  resolver: Resolver<S>,
  events: readonly FoldEvent[],
  random: Random,
  violations: Violation[],
): void {
  const last = events.at(-1);
  if (!last) return;
  const form = (state: S) => {
    const end = resolver.compact(state, { index: last.index, ingestMs: last.ingestMs });
    return canonicalJson([resolver.view(end), encodeVector(resolver.seen(end)), resolver.encode(end)]);
  };
  const once = form(events.reduce((state, event) => resolver.apply(state, event), resolver.empty()));
  const often = form(compacting(resolver, events, random));
  if (once !== often)
    violations.push({
      rule: "compaction",
      text: `${BROKEN.compaction}: ${shortened(often)}, not ${shortened(once)}`,
    });
}

function restored<S>(resolver: Resolver<S>, state: S): S {
  return resolver.decode(JSON.parse(JSON.stringify(resolver.encode(state))));
}

const shown = <S>(resolver: Resolver<S>, state: S): string => canonicalJson(resolver.view(state));

const shortened = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)}…` : text);

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}
