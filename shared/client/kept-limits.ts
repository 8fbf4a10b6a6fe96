import type { AppendLimits } from "./event-to-append.ts";

/** A program that appends learns of its node's new contracts within about that time; the hub judges by them anyway. */
const READ_AGAIN_MS = 5_000;

/** What the node's outbox takes, read again now and then while events are appended; nobody waits for that. */
export class KeptLimits {
  readonly #read: () => Promise<AppendLimits>;
  readonly #nowMs: () => number;
  #limits: AppendLimits;
  #nextMs: number;

  /** @param first what was read before */
  constructor(
    first: AppendLimits,
    read: () => Promise<AppendLimits>,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#read = read;
    this.#nowMs = nowMs;
    this.#limits = first;
    this.#nextMs = nowMs() + READ_AGAIN_MS;
  }

  /** As they were read last. */
  get latest(): AppendLimits {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#nextMs) {
      this.#nextMs = nowMs + READ_AGAIN_MS;
      // A store that does not answer, or says what this client can't read, tells nothing new.
      this.#read().then(
        (limits) => {
          this.#limits = limits;
        },
        () => undefined,
      );
    }
    return this.#limits;
  }
}
