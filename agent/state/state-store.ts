import type { NatsConnection } from "@nats-io/transport-node";
import {
  decodeStored,
  encodeStored,
  type StateCheckpoint,
  stateCheckpoint,
} from "../../shared/consistency/state/stored-state.ts";
import { type OutgoingMessage, type WriteResult, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage, getNewest } from "../../shared/nats/get-message.ts";
import { jetStreamApi } from "../../shared/nats/jetstream-api.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { STREAM } from "../../shared/protocol/names.ts";

/** Another run writes the states since: this one must not go on. */
export class StateFenced extends Error {
  override readonly name = "StateFenced";
}

/** What was to be written may be there or not: begin anew from what is stored. */
export class StateNotWritten extends Error {
  override readonly name = "StateNotWritten";
}

const MOST_CLAIMS = 200;

/** Messages besides the checkpoint in one batch. */
export const MAX_WRITES = 950;

/**
 * Writes states and how far they have come as one atomic batch, all of it or nothing. Each expects the checkpoint that this
 * run wrote before: whoever else wrote one has taken over, and this run is refused from then on.
 */
export class StateStore {
  readonly #nc: NatsConnection;
  readonly #inboxPrefix: string;
  readonly #subject: string;
  readonly #by: string;
  #seq = 0;

  /** @param subject of the checkpoint: that of the present states, or of those that are being rebuilt */
  constructor(nc: NatsConnection, init: { inboxPrefix: string; subject: string; by: string }) {
    this.#nc = nc;
    this.#inboxPrefix = init.inboxPrefix;
    this.#subject = init.subject;
    this.#by = init.by;
  }

  /** The checkpoint as it is stored; undefined: there is none. What is written next expects it. */
  async open(): Promise<StateCheckpoint | undefined> {
    const stored = await getMessage(this.#nc, STREAM.state, { last_by_subj: this.#subject });
    this.#seq = stored?.seq ?? 0;
    if (!stored || stored.body.byteLength === 0) return undefined;
    const checkpoint = decodeStored(stateCheckpoint, stored.body);
    if (!checkpoint) throw new Error(`${this.#subject} is of a later version: upgrade this daemon`);
    return checkpoint;
  }

  /**
   * Makes the stored checkpoint this run's, so that whoever wrote it is refused from then on.
   * @param mayTake whether it may be taken from a run of that name
   * @returns what was stored; undefined: nothing
   * @throws StateFenced it may not, or others kept writing
   */
  async claim(
    first: StateCheckpoint,
    mayTake: (by: string) => boolean,
  ): Promise<StateCheckpoint | undefined> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.open();
      if (stored && !mayTake(stored.by)) throw new StateFenced(`${stored.by} writes the states`);
      try {
        await this.write({ ...(stored ?? first), by: this.#by }, []);
        return stored;
      } catch (error) {
        // The other one wrote between the two: it does so once in a while, and this is tried at once.
        if (!(error instanceof StateFenced) || attempt === MOST_CLAIMS) throw error;
      }
    }
  }

  /** Stored states of these subjects; those that are not there are left out. */
  load(subjects: readonly string[]): Promise<StoredMessage[]> {
    return getNewest(this.#nc, STREAM.state, subjects, { inboxPrefix: this.#inboxPrefix });
  }

  /** @throws StateFenced, StateNotWritten */
  async write(checkpoint: StateCheckpoint, messages: readonly OutgoingMessage[]): Promise<void> {
    const first = { subject: this.#subject, headerText: "", body: encodeStored(checkpoint) };
    const result = await writeGuarded(this.#nc, [first, ...messages], {
      newest: { subject: this.#subject, seq: this.#seq },
      allOrNothing: true,
    });
    if (result.kind !== "stored") throw await this.#failure(result);
    this.#seq = result.lastSeq - messages.length;
  }

  /** Whatever the server says: who wrote the checkpoint that is there tells whether this run may go on. */
  async #failure(result: Exclude<WriteResult, { kind: "stored" }>): Promise<Error> {
    const stored = await this.open().catch(() => undefined);
    if (stored && stored.by !== this.#by) return new StateFenced(`${stored.by} writes the states`);
    const cause = result.kind === "unknown" ? result.cause : undefined;
    return new StateNotWritten(`the states were not written as expected: ${result.reason}`, { cause });
  }

  /** Lets go of everything of these subjects. */
  async purge(filters: readonly string[]): Promise<void> {
    for (const filter of filters)
      await jetStreamApi(this.#nc, `STREAM.PURGE.${STREAM.state}`, { filter }, { timeoutMs: 60_000 });
  }
}

/** As KV clients mark a key that is deleted. */
export const deletion = (subject: string): OutgoingMessage => ({
  subject,
  headerText: headerLine("KV-Operation", "DEL"),
  body: new Uint8Array(),
});
