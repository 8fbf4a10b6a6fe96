import { FlowWindow } from "../../shared/nats/flow-window.ts";

/** Largest block before packing: half a batch of the log, so that live events of others fit beside it. */
const LARGEST_BYTES = 512 * 1024;
const FIRST_BYTES = 64 * 1024;
/** Ten events of the usual size. */
const LEAST_BYTES = 4 * 1024;
/** The hub's fsync may take seconds before the link is to blame. */
const SHORTEST_TIMEOUT_MS = 3000;
const LONGEST_TIMEOUT_MS = 60_000;

/** How large blocks may be and how long to wait for their answers. */
export class BlockPace {
  readonly #window: FlowWindow;
  #quickestMs = Number.POSITIVE_INFINITY;
  #slowestMs = 0;

  /** @param drainMs what may be on its way over the link, as a time to drain */
  constructor(drainMs: number) {
    this.#window = new FlowWindow({ first: FIRST_BYTES, least: LEAST_BYTES, most: LARGEST_BYTES, drainMs });
  }

  /** Bytes of a block before packing. */
  get blockBytes(): number {
    return this.#window.bytes;
  }

  /** Ten times what blocks lately took. */
  get timeoutMs(): number {
    return Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, this.#slowestMs * 10));
  }

  /** A block of so many bytes before packing was answered. */
  answered(bytes: number, elapsedMs: number): void {
    this.#slowestMs = Math.max(elapsedMs, this.#slowestMs * 0.9);
    // The quickest answer is the round trip; it is forgotten slowly, for the way may have become a longer one.
    this.#quickestMs = Math.min(elapsedMs, this.#quickestMs * 1.01);
    this.#window.drained(bytes, elapsedMs - this.#quickestMs);
  }

  /** A block was not answered in time, or the link went down under it. */
  unanswered(): void {
    this.#window.lost();
    this.#slowestMs = Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, this.#slowestMs * 2));
  }

  /** The link is another one: what was learnt of its round trip is not its own. */
  relinked(): void {
    this.#quickestMs = Number.POSITIVE_INFINITY;
    this.#slowestMs = 0;
  }
}
