import type { NatsConnection } from "@nats-io/transport-node";
import type { NotedConflict } from "../../shared/consistency/resolve/noted-conflict.ts";
import type { Log } from "../../shared/observe/log.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import type { ConflictFilter } from "./conflict-journal.ts";
import { ConflictJournal } from "./conflict-journal.ts";
import { indexOfConflict, type JournalledConflict } from "./conflict-record.ts";
import type { ConflictsSource } from "./conflicts-api.ts";
import { describeConflicts } from "./describe-conflict.ts";
import { ResolutionWatch } from "./resolution-watch.ts";

export interface ConflictsInit {
  /** Asked when there is something to write or to read. */
  readonly nc: () => NatsConnection;
  readonly inboxPrefix: string;
  readonly log: Log;
  /** Of each conflict that the journal did not have before. */
  readonly onConflict: (of: { readonly domain: string; readonly resolver: string }) => void;
  /** After each attempt to write: why it failed, or undefined. */
  readonly onStore: (error: string | undefined) => void;
}

/** The hub's journal of conflicts: written by whoever folds the log, read by people. */
export class Conflicts implements ConflictsSource, Disposable {
  readonly #journal: ConflictJournal;
  readonly #watch: ResolutionWatch;
  readonly #init: ConflictsInit;
  /** Up to there in the log the journal has every conflict; undefined: not looked up yet. */
  #written: number | undefined;

  constructor(init: ConflictsInit) {
    const { nc, inboxPrefix, log } = init;
    this.#init = init;
    this.#journal = new ConflictJournal({ nc, inboxPrefix });
    this.#watch = new ResolutionWatch({ nc, inboxPrefix, journal: this.#journal, log });
  }

  /** From now on there is a connection. */
  start(): void {
    this.#watch.start();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  /** Resolves when they are synced in the journal; what was given before replaces itself. @throws {JournalUnwritable}, or the client's error */
  async note(noted: readonly NotedConflict[]): Promise<void> {
    const records = describeConflicts(noted);
    const last = noted.at(-1)?.position.index;
    if (records.length === 0 || last === undefined) return;
    const { onConflict, onStore } = this.#init;
    try {
      this.#written ??= await this.#journal.highestIndex();
      await this.#journal.write(records);
      onStore(undefined);
    } catch (error) {
      onStore(errorText(error));
      throw error;
    }
    for (const { id, domain, resolver } of records)
      if (indexOfConflict(id) > this.#written) onConflict({ domain, resolver });
    this.#written = Math.max(this.#written, last);
  }

  async list(filter: ConflictFilter): Promise<JournalledConflict[]> {
    await this.#watch.catchUp();
    return await this.#journal.list(filter);
  }

  async find(id: string): Promise<JournalledConflict | undefined> {
    await this.#watch.catchUp();
    return await this.#journal.find(id);
  }
}
