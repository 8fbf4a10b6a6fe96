export interface TrimFacts {
  /** All up to there is durable on every member hub, and refused events among them are set aside. */
  readonly confirmed: number;
  /** Own events up to there came back in the node's copy; undefined: the node keeps none. */
  readonly cameBack: number | undefined;
  /** Events up to there are older than the retention floor. */
  readonly olderThanFloor: number;
}

/**
 * From which event on an outbox is kept. Only what every hub has confirmed goes, only what the copy has again (a log
 * that was restored is refilled from there), only what is old enough. The event at the mark always stays: by it the
 * sequencer and the uplink know each other again.
 */
export function keepFrom(facts: TrimFacts): number {
  return Math.min(facts.confirmed, facts.cameBack ?? facts.confirmed, facts.olderThanFloor);
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
