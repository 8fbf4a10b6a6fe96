/** A growing quantity: how fast, averaged over the last minute or so. */
export class GrowthRate {
  readonly #halfLifeMs: number;
  #perMs = 0;
  #last: { atMs: number; value: number } | undefined;

  constructor(halfLifeMs = 30_000) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** Shrinking counts as growing by nothing: what was trimmed says nothing of what is written. */
  note(value: number, atMs: number): void {
    const last = this.#last;
    this.#last = { atMs, value };
    if (!last || atMs <= last.atMs) return;
    const elapsedMs = atMs - last.atMs;
    const perMs = Math.max(0, value - last.value) / elapsedMs;
    const keep = 0.5 ** (elapsedMs / this.#halfLifeMs);
    this.#perMs = this.#perMs * keep + perMs * (1 - keep);
  }

  get perSecond(): number {
    return this.#perMs * 1000;
  }
}

/**
 * Seconds until writers get an error: the room that is left, in the outbox's own limit or on its disk, at the rate at
 * which it fills. null: it does not fill.
 */
export function runwaySeconds(facts: {
  readonly outboxBytes: number;
  readonly outboxMaxBytes: number;
  readonly diskFreeBytes: number;
  readonly growthPerSecond: number;
}): number | null {
  if (facts.growthPerSecond < 1) return null;
  const room = Math.max(0, Math.min(facts.outboxMaxBytes - facts.outboxBytes, facts.diskFreeBytes));
  return Math.round(room / facts.growthPerSecond);
}

/** In steps that do not change with every heartbeat: a condition is told again when its text changes. */
export function runwayWords(seconds: number): string {
  if (seconds >= 2 * 3600) return `about ${Math.round(seconds / 3600)} h`;
  return `less than ${Math.max(1, Math.ceil(seconds / 600)) * 10} min`;
}
