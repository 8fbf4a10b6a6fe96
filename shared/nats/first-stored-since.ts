import type { NatsConnection } from "@nats-io/transport-node";
import { SUBJECT } from "../protocol/subjects.ts";
import { getMessage } from "./get-message.ts";

/** Reads the store time of the first message at or after a sequence, µs; undefined: there is none. */
export type StoredTime = (seq: number) => Promise<number | undefined>;

/** That of the log, or a copy. */
export function storedTimeIn(nc: NatsConnection, stream: string): StoredTime {
  return async (seq) => (await getMessage(nc, stream, { seq, next_by_subj: SUBJECT.allEvents }))?.timeUs;
}

/** The first sequence in [first, last] stored at or after a time; `last + 1` when all are older. Times grow with sequences. */
export async function firstStoredSince(
  storedAt: StoredTime,
  first: number,
  last: number,
  sinceUs: number,
): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const timeUs = await storedAt(middle);
    if (timeUs === undefined || timeUs >= sinceUs) high = middle;
    else low = middle + 1;
  }
  return low;
}
