/** One of several concurrent values, that nothing has merged yet. */
export interface StateSibling {
  readonly value: unknown;
  /** The event that wrote it, and the node it was written on. */
  readonly event: string;
  readonly node: string;
}

/** What the events of an aggregate come to, as this node knows them. */
export interface AggregateState<T = unknown> {
  readonly domain: string;
  readonly aggregate: string;
  /** null: deleted, or there is nothing. */
  readonly value: T | null;
  readonly deleted: boolean;
  /** Concurrent values by their path in `value`, which shows the first of each. A write with `seen: version` settles them. */
  readonly siblings: readonly {
    readonly path: readonly string[];
    readonly versions: readonly StateSibling[];
  }[];
  /** Opaque: what was known. Give it as `seen` to the append that builds on this state. */
  readonly version: string;
  /** How many of this node's own events are in it that the log does not have yet: what they come to may change there. */
  readonly provisional: number;
  /** `<reign>.<index>` of the newest event in it that came from the log; null: none. */
  readonly position: string | null;
  /**
   * False: the node keeps no states of this domain, and its log or copy does not have all events, as they were too old or the
   * domain is not followed; the value may lack what they wrote.
   */
  readonly complete: boolean;
}

/** The state can't be told here; the message says why. */
export class StateUnavailable extends Error {
  override readonly name = "StateUnavailable";
}
