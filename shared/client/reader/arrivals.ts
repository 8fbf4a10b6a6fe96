import type { StreamReader } from "../../nats/stream-reader.ts";
import type { StoredMessage } from "../../protocol/event.ts";

/** How many are taken from a stream at a time: between, the other one has its turn. */
const TAKEN_AT_ONCE = 256;

/** One of the two streams that are read side by side. What waits is in the reader, which bounds it. */
export class Arrivals {
  readonly reader: StreamReader;
  #coming: Promise<void> | undefined;
  #here: StoredMessage[] = [];
  #failure: unknown;
  #failed = false;

  constructor(reader: StreamReader) {
    this.reader = reader;
  }

  /** Matching messages that are here or at the server and have not been taken. */
  get waiting(): number {
    return this.#here.length + this.reader.waiting;
  }

  /** Resolves when there is something to take, or an error. */
  arrived(): Promise<void> {
    if (this.#here.length > 0 || this.#failed) return Promise.resolve();
    this.#coming ??= this.reader.next(TAKEN_AT_ONCE).then(
      (messages) => {
        this.#here = messages;
        this.#coming = undefined;
      },
      (error: unknown) => {
        this.#failure = error;
        this.#failed = true;
        this.#coming = undefined;
      },
    );
    return this.#coming;
  }

  /** What is here, possibly nothing. @throws ReaderBroken */
  take(): StoredMessage[] {
    if (this.#here.length > 0) {
      const messages = this.#here;
      this.#here = [];
      return messages;
    }
    if (this.#failed) throw this.#failure;
    return this.#coming !== undefined ? [] : this.reader.take(TAKEN_AT_ONCE);
  }
}
