import { weightOf } from "../../../shared/protocol/event.ts";
import { AggregateVersions } from "./aggregate-versions.ts";
import type { Commit } from "./read-commit.ts";

/** A commit that is not answered yet. */
export interface WaitingCommit {
  readonly kind: "commit";
  readonly node: string;
  readonly token: number;
  readonly commit: Commit;
  readonly sinceMs: number;
  /** It was in a batch of which nobody knows what became: nothing may be said of it before the log is read again. */
  readonly mayBeStored: boolean;
}

/** JetStream's clients wait five seconds for an answer. What comes later is no longer expected, and not stored. */
const PATIENCE_MS = 10_000;

export const isLate = ({ sinceMs }: WaitingCommit, nowMs: number): boolean => nowMs - sinceMs > PATIENCE_MS;

/** Commits on the way to the queue: some until their aggregate's version is read, some until the log is read again. */
export class WaitingCommits {
  readonly versions: AggregateVersions;
  readonly #reading = new Map<string, WaitingCommit[]>();
  #held: WaitingCommit[] = [];
  #bytes = 0;

  constructor(mostVersions?: number) {
    this.versions = new AggregateVersions(mostVersions);
  }

  /** What waits here, bytes; the queue has its own. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Until its aggregate's version is read. Whether that has to be begun. */
  awaitVersion(waiting: WaitingCommit): boolean {
    const { aggregate } = waiting.commit;
    this.#bytes += weight(waiting);
    const others = this.#reading.get(aggregate);
    if (others) others.push(waiting);
    else this.#reading.set(aggregate, [waiting]);
    return this.versions.beginReading(aggregate);
  }

  /** The version is read (undefined: it could not be). Those that waited for it. */
  versionRead(aggregate: string, index: number | undefined): WaitingCommit[] {
    this.versions.read(aggregate, index);
    const waiting = this.#reading.get(aggregate) ?? [];
    this.#reading.delete(aggregate);
    for (const one of waiting) this.#bytes -= weight(one);
    return waiting;
  }

  /** The log is read again: these, and those that wait for a version, are judged anew by what it says then. */
  holdAll(commits: readonly WaitingCommit[]): void {
    this.versions.clear();
    for (const waiting of commits) this.hold(waiting);
    for (const waiting of this.#reading.values()) this.#held.push(...waiting);
    this.#reading.clear();
  }

  hold(waiting: WaitingCommit): void {
    this.#bytes += weight(waiting);
    this.#held.push(waiting);
  }

  /** Those held that this says, or all. */
  release(which: (waiting: WaitingCommit) => boolean = () => true): WaitingCommit[] {
    const { true: released = [], false: kept = [] } = Object.groupBy(this.#held, (one) => `${which(one)}`);
    this.#held = kept;
    for (const one of released) this.#bytes -= weight(one);
    return released;
  }
}

const weight = ({ commit }: WaitingCommit): number => weightOf(commit.event);
