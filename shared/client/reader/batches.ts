import type { CimEvent } from "./read-event.ts";

export interface BatchLimits {
  /** How many events at most. Default 256. */
  readonly max?: number;
  /** How long a batch that is not full waits for more after its first event, ms. Default 20. */
  readonly waitMs?: number;
}

/** At least one event, in order. */
export interface Batch {
  readonly events: readonly CimEvent[];
  /** Of the last one: one checkpoint is enough for all. */
  readonly checkpoint: string;
}

const DEFAULT_MAX = 256;
const DEFAULT_WAIT_MS = 20;
/** A batch is held in memory whole, whatever the size of its events: full at so many bytes of bodies. */
const MAX_BYTES = 8 * 1024 * 1024;

/** The last event of what is to be saved. */
export function lastOf(handled: CimEvent | Batch): CimEvent {
  return "events" in handled ? (handled.events.at(-1) as CimEvent) : handled;
}

/**
 * Groups what a reader hands out. `isSame`: whether an event may be in one batch with the one before.
 * @throws {TypeError} limits that are none
 */
export function batchesOf(
  source: AsyncIterable<CimEvent>,
  limits: BatchLimits,
  end: () => void,
  isSame: (before: CimEvent, event: CimEvent) => boolean = () => true,
): AsyncGenerator<Batch, void> {
  const { max = DEFAULT_MAX, waitMs = DEFAULT_WAIT_MS } = limits;
  if (!Number.isInteger(max) || max < 1)
    throw new TypeError(`max: ${max} is no number of events; write a whole number from 1`);
  if (!(waitMs >= 0 && waitMs <= 60_000))
    throw new TypeError(`waitMs: ${waitMs} is no time to wait; write milliseconds from 0 to 60000`);
  return grouped(source, max, waitMs, end, isSame);
}

async function* grouped(
  source: AsyncIterable<CimEvent>,
  max: number,
  waitMs: number,
  end: () => void,
  isSame: (before: CimEvent, event: CimEvent) => boolean,
): AsyncGenerator<Batch, void> {
  const iterator = source[Symbol.asyncIterator]();
  const ask = () => {
    const next = iterator.next();
    // It may break while a batch is handled: told when it is asked for.
    next.catch(() => undefined);
    return next;
  };
  let coming = ask();
  try {
    for (;;) {
      const first = await coming;
      if (first.done) return;
      const events = [first.value];
      let bytes = first.value.data.byteLength;
      coming = ask();
      const timer = Promise.withResolvers<undefined>();
      const timeout = setTimeout(() => timer.resolve(undefined), waitMs);
      try {
        while (events.length < max && bytes < MAX_BYTES) {
          const next = await Promise.race([coming.catch(() => undefined), timer.promise]);
          // What broke, or ended, is told after what is whole.
          if (next === undefined || next.done || !isSame(first.value, next.value)) break;
          events.push(next.value);
          bytes += next.value.data.byteLength;
          coming = ask();
        }
      } finally {
        clearTimeout(timeout);
      }
      yield { events, checkpoint: (events.at(-1) as CimEvent).checkpoint };
    }
  } finally {
    // One that is on its way would hold back the end.
    end();
    await coming.catch(() => undefined);
    await iterator.return?.();
  }
}
