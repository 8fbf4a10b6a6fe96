import type { StreamReader } from "../../nats/stream-reader.ts";
import type { StoredMessage } from "../../protocol/event.ts";

/** How many are taken from a stream at a time: between, the other one has its turn. */
const TAKEN_AT_ONCE = 256;

/** One of the two streams that are read side by side. What waits is in the reader, which bounds it. */
export class Arrivals {
  readonly reader: StreamReader;
  #isAsking = false;
  #here: StoredMessage[] = [];
  #failure: unknown;
  #failed = false;
  #wake: (() => void) | undefined;

  constructor(reader: StreamReader) {
    this.reader = reader;
  }

  /** Matching messages that are here or at the server and have not been taken. */
  get waiting(): number {
    return this.#here.length + this.reader.waiting;
  }

  /**
   * Calls back when there is something to take, or an error; whoever asked before is forgotten. Not a promise: one that a
   * quiet stream leaves open for days would keep all that was ever hung on it, which is each wait for the other stream.
   */
  whenHere(wake: () => void): void {
    if (this.#here.length > 0 || this.#failed) {
      wake();
      return;
    }
    this.#wake = wake;
    if (!this.#isAsking) void this.#ask();
  }

  /** What is here, possibly nothing. @throws ReaderBroken */
  take(): StoredMessage[] {
    if (this.#here.length > 0) {
      const messages = this.#here;
      this.#here = [];
      return messages;
    }
    if (this.#failed) throw this.#failure;
    return this.#isAsking ? [] : this.reader.take(TAKEN_AT_ONCE);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    try {
      this.#here = await this.reader.next(TAKEN_AT_ONCE);
    } catch (error) {
      this.#failure = error;
      this.#failed = true;
    }
    this.#isAsking = false;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
