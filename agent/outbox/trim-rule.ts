export interface TrimFacts {
  /** All up to there is durable on every member hub, and refused events among them are set aside. */
  readonly confirmed: number;
  /** Own events up to there came back in the node's copy; undefined: the node keeps none. */
  readonly cameBack: number | undefined;
  /** Events up to there are older than the retention floor. */
  readonly olderThanFloor: number;
  /** The first event that a reader with a durable name has yet to read here; undefined: the outbox waits for none. */
  readonly readersNeed: number | undefined;
}

/**
 * From which event on an outbox is kept. Only what every hub has confirmed goes, only what the copy has again (a log
 * that was restored is refilled from there), only what is old enough. The event at the mark always stays: by it the
 * sequencer and the uplink know each other again.
 */
export function keepFrom(facts: TrimFacts): number {
  const { confirmed, cameBack = confirmed, olderThanFloor, readersNeed = confirmed } = facts;
  return Math.min(confirmed, cameBack, olderThanFloor, readersNeed);
}

/** A durable name under which nothing was saved for a day is waited for no more. */
export const READER_WAIT_MS = 24 * 3_600_000;
/** Readers may hold back the trim up to there; the rest of the room is for a link that is down. */
const READERS_SHARE = 0.5;

export interface ReaderNeed {
  readonly savedAtMs: number;
  /** The first event that matches and that it has not read; undefined: none. */
  readonly firstUnread: number | undefined;
}

/** What an outbox is to keep for readers, where they find its events nowhere else; undefined: nothing. */
export function readersNeed(
  readers: readonly ReaderNeed[],
  outbox: { readonly bytes: number; readonly maxBytes: number },
  nowMs: number,
): number | undefined {
  if (outbox.bytes > READERS_SHARE * outbox.maxBytes) return undefined;
  const waitedFor = readers.filter(({ savedAtMs }) => nowMs - savedAtMs < READER_WAIT_MS);
  const seqs = waitedFor.flatMap(({ firstUnread }) => firstUnread ?? []);
  return seqs.length === 0 ? undefined : Math.min(...seqs);
}

/** Remembers when which event was confirmed, to tell which are older than a floor. One entry a second at most. */
export class Ages {
  #entries: { atMs: number; seq: number }[] = [];
  #olderThan = 0;

  note(seq: number, nowMs: number): void {
    const last = this.#entries.at(-1);
    if (last && (seq === last.seq || nowMs - last.atMs < 1000)) return;
    this.#entries.push({ atMs: nowMs, seq });
  }

  /** The highest sequence noted at least `floorMs` ago. */
  olderThan(floorMs: number, nowMs: number): number {
    while (this.#entries[0] && nowMs - this.#entries[0].atMs >= floorMs) {
      this.#olderThan = (this.#entries.shift() as { seq: number }).seq;
    }
    return this.#olderThan;
  }
}
