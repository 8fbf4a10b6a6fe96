import { setTimeout as sleep } from "node:timers/promises";
import type { Appended, CimClient, EventToAppend } from "../shared/client/connect-cim.ts";

export interface AppendMany {
  readonly client: CimClient;
  readonly event: EventToAppend;
  readonly count: number;
  /** Per second; undefined: as fast as it goes. */
  readonly rate: number | undefined;
  /** No further ones are begun. */
  readonly signal: AbortSignal;
  readonly onAcknowledged: (total: number) => void;
}

export interface AppendedMany {
  readonly acknowledged: number;
  /** By their place in the outbox. */
  readonly first: Appended | undefined;
  readonly last: Appended | undefined;
  /** What ended it early. */
  readonly failure: unknown;
}

/** As many as fit into one atomic batch: what gathers while one is written is the next. */
const MAX_IN_FLIGHT = 1_000;

/** Appends events of one kind, with many on their way at a time, until all are acknowledged or one is not. */
export async function appendMany(wish: AppendMany): Promise<AppendedMany> {
  const { client, event, count, rate, signal, onAcknowledged } = wish;
  const startMs = performance.now();
  let begun = 0;
  let acknowledged = 0;
  let first: Appended | undefined;
  let last: Appended | undefined;
  let failure: unknown;
  const appendInTurn = async () => {
    while (begun < count && failure === undefined && !signal.aborted) {
      const turn = begun++;
      if (rate !== undefined) {
        const waitMs = startMs + (turn / rate) * 1000 - performance.now();
        if (waitMs >= 1) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
        if (signal.aborted || failure !== undefined) return;
      }
      try {
        const appended = await client.append(event);
        if (!first || appended.seq < first.seq) first = appended;
        if (!last || appended.seq > last.seq) last = appended;
        onAcknowledged(++acknowledged);
      } catch (error) {
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, MAX_IN_FLIGHT) }, appendInTurn));
  return { acknowledged, first, last, failure };
}
