/** What waits of a stream. */
export interface PartLag {
  /** Matching events that have not been handed out. */
  readonly events: number;
  /** Age of the event that was handed out last, ms, while others wait; 0: none waits. */
  readonly ms: number;
}

export interface ReaderLag {
  readonly log: PartLag;
  readonly outbox: PartLag;
}
