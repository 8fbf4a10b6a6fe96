import { compareTimes, type HybridTime } from "../../shared/consistency/clock/hybrid-clock.ts";
import { timeOfStamp } from "../../shared/consistency/clock/stamp.ts";
import { encodeVector } from "../../shared/consistency/clock/version-vector.ts";
import type { FoldEvent } from "../../shared/consistency/resolve/fold-event.ts";
import type { Note, Resolver } from "../../shared/consistency/resolve/resolver.ts";
import { decodeStored, encodeStored, storedState } from "../../shared/consistency/state/stored-state.ts";
import { formatLogPosition, type LogPosition, parseLogPosition } from "../../shared/protocol/reign.ts";

/** An aggregate's state in memory. */
export interface Held {
  readonly subject: string;
  readonly resolver: Resolver<unknown>;
  state: unknown;
  /** The newest event that is in it. */
  at: LogPosition | undefined;
  events: number;
  updatedMs: number;
  time: HybridTime;
  /** As it was last stored, bytes. */
  weight: number;
}

/** @throws what the resolver throws; the state may be half changed then */
export function foldInto(held: Held, position: LogPosition, event: FoldEvent, note: Note): void {
  held.state = held.resolver.apply(held.state, event, note);
  held.at = position;
  held.events += 1;
  held.updatedMs = event.ingestMs;
  const time = timeOfStamp(event.stamp);
  if (compareTimes(time, held.time) > 0) held.time = time;
}

/** As it is stored: compacted up to its own newest event, so that the same events are the same bytes. */
export function encodeHeld(held: Held): Uint8Array {
  const { resolver, at, events, updatedMs, time } = held;
  if (!at) throw new Error(`${held.subject} has no event`);
  held.state = resolver.compact(held.state, { index: at.index, ingestMs: updatedMs });
  const { value, deleted, siblings } = resolver.view(held.state);
  return encodeStored({
    v: 1,
    log: formatLogPosition(at),
    events,
    updatedMs,
    seen: encodeVector(resolver.seen(held.state)),
    time,
    resolver: resolver.name,
    state: resolver.encode(held.state),
    value,
    deleted,
    siblings: siblings.map(({ path, versions }) => ({
      path: [...path],
      versions: versions.map((version) => ({ ...version })),
    })),
  });
}

/** Of what is stored; nothing is: a new one. @throws TypeError or Error it can't be read */
export function heldOf(subject: string, resolver: Resolver<unknown>, body: Uint8Array | undefined): Held {
  if (!body) {
    const time = { ms: 0, counter: 0 };
    return {
      subject,
      resolver,
      state: resolver.empty(),
      at: undefined,
      events: 0,
      updatedMs: 0,
      time,
      weight: 0,
    };
  }
  const stored = decodeStored(storedState, body);
  const at = parseLogPosition(stored?.log);
  if (!stored || !at) throw new Error("it is of a later version");
  if (stored.resolver !== resolver.name) throw new Error(`${stored.resolver} made it, not ${resolver.name}`);
  const { events, updatedMs, time } = stored;
  const state = resolver.decode(stored.state);
  return { subject, resolver, state, at, events, updatedMs, time, weight: body.byteLength };
}
