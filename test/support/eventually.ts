import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../../shared/protocol/error-text.ts";

export interface EventuallyOptions {
  /** Default 60 000: only what never comes takes as long, and a busy machine is no fault. */
  readonly timeoutMs?: number;
  /** Default 10. */
  readonly everyMs?: number;
  /** What is awaited, for the message of the time-out. */
  readonly what?: string;
}

/**
 * Waits until `probe` neither throws nor returns `undefined` or `false`, and returns what it returned.
 * A test waits for a state with this, never for a duration.
 */
export async function eventually<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: EventuallyOptions = {},
): Promise<T> {
  const { timeoutMs = 60_000, everyMs = 10, what = "the awaited state" } = options;
  const deadline = performance.now() + timeoutMs;
  let last: unknown = "still false";
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = "still false";
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const why = errorText(last);
      throw new Error(`${what} did not come within ${timeoutMs} ms: ${why}`, { cause: last });
    }
    await sleep(everyMs);
  }
}
