import { LRUCache } from "lru-cache";

/** So many aggregates' versions are remembered, some 20 MB; those of others are read in the log when they are asked for. */
const MOST_REMEMBERED = 100_000;

/**
 * At which version aggregates of strong domains are: the log's index of their newest event; 0: none. Aggregates are named
 * by the filter of their events. What is not remembered has to be read in the log, and what is written meanwhile counts.
 */
export class AggregateVersions {
  readonly #remembered: LRUCache<string, number>;
  /** Of the batch under way: not forgotten before it is stored, or a reading would miss it. */
  readonly #written = new Map<string, number>();
  /** Being read, with the newest that was written since. */
  readonly #reading = new Map<string, number>();

  constructor(most: number = MOST_REMEMBERED) {
    this.#remembered = new LRUCache({ max: most });
  }

  /** undefined: it has to be read. */
  get(aggregate: string): number | undefined {
    return this.#written.get(aggregate) ?? this.#remembered.get(aggregate);
  }

  /** An event of it is put into the next batch. */
  write(aggregate: string, index: number): void {
    this.#written.set(aggregate, index);
    if (this.#reading.has(aggregate)) this.#reading.set(aggregate, index);
  }

  /** The batch under way is stored. */
  stored(): void {
    for (const [aggregate, index] of this.#written) this.#remembered.set(aggregate, index);
    this.#written.clear();
  }

  /** Whether its reading has to be begun; false: it is under way. */
  beginReading(aggregate: string): boolean {
    if (this.#reading.has(aggregate)) return false;
    this.#reading.set(aggregate, 0);
    return true;
  }

  /** What the log said when it was read; undefined: it could not be read. */
  read(aggregate: string, index: number | undefined): void {
    const since = this.#reading.get(aggregate);
    this.#reading.delete(aggregate);
    if (index !== undefined && since !== undefined) this.#remembered.set(aggregate, Math.max(index, since));
  }

  /** All that is remembered; what is being read comes to nothing, and the batch under way counts. */
  forget(): void {
    this.#remembered.clear();
    this.#reading.clear();
  }

  /** The log is read again: nothing is certain any more. */
  clear(): void {
    this.#remembered.clear();
    this.#written.clear();
    this.#reading.clear();
  }
}
