import { MOST_RECOGNISED, RECOGNISED_MS } from "../../../shared/protocol/commit.ts";

/** A commit that the log has. */
export interface KnownCommit {
  /** In the log's stream. */
  readonly seq: number;
  /** In the log. */
  readonly index: number;
  readonly subject: string;
  /** When the sequencer took it, ms since the epoch. */
  readonly ms: number;
}

/** The newest commits by their events' ids, so that one that is sent again is not stored again. All of it is in the log. */
export class RecentCommits {
  readonly #byId = new Map<string, KnownCommit>();
  readonly #most: number;

  constructor(most: number = MOST_RECOGNISED) {
    this.#most = most;
  }

  get(id: string): KnownCommit | undefined {
    return this.#byId.get(id);
  }

  /** In the log's order: the oldest are forgotten first. */
  note(id: string, commit: KnownCommit): void {
    this.#byId.delete(id);
    this.#byId.set(id, commit);
    for (const [oldest, { ms }] of this.#byId) {
      if (this.#byId.size <= this.#most && ms >= commit.ms - RECOGNISED_MS) break;
      this.#byId.delete(oldest);
    }
  }
}
