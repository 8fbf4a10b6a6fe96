import type { NatsConnection } from "@nats-io/transport-node";
import { type OutgoingMessage, type WriteResult, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";

/** Told of what was stored, the last of it at that sequence, before anybody else is. */
export type OnWritten = (messages: readonly OutgoingMessage[], lastSeq: number) => void;

/**
 * The only one that writes a node's copy. One write at a time, each expecting the copy's end: a second agent on the same
 * copy is refused, and so is this one after anybody else wrote.
 */
export class CopyWriter {
  readonly #nc: NatsConnection;
  readonly #onWritten: OnWritten | undefined;
  #lastSeq = 0;
  /** Where following stands in what was written: known in the very turn that writes it. */
  followed: LogPosition | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(nc: NatsConnection, onWritten?: OnWritten) {
    this.#nc = nc;
    this.#onWritten = onWritten;
  }

  /** Whether the copy's stream is where this writer left it. */
  untouched(): Promise<boolean> {
    return this.#inTurn(async () => (await streamState(this.#nc, STREAM.events)).last_seq === this.#lastSeq);
  }

  /** Takes the copy's end as it is now, after all that is under way. */
  sync(): Promise<void> {
    return this.#inTurn(async () => {
      this.#lastSeq = (await streamState(this.#nc, STREAM.events)).last_seq;
    });
  }

  /** Writes what `make` gives when its turn has come. `followed`: where following stands after it. */
  write(make: () => readonly OutgoingMessage[], followed?: LogPosition): Promise<WriteResult> {
    return this.#inTurn(async () => {
      const messages = make();
      if (messages.length === 0) return { kind: "stored", lastSeq: this.#lastSeq };
      const result = await writeGuarded(this.#nc, messages, { lastSeq: this.#lastSeq });
      if (result.kind === "unknown" && result.strays) await this.#remove(result.strays);
      if (result.kind !== "stored") return result;
      this.#lastSeq = result.lastSeq;
      this.#onWritten?.(messages, result.lastSeq);
      if (followed) this.followed = followed;
      return result;
    });
  }

  /** Left where they are, they would be the copy's end, and what is missing before them would never come. */
  async #remove(strays: readonly number[]): Promise<void> {
    for (const seq of strays.toReversed())
      await jetStreamApi(this.#nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq, no_erase: true });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
