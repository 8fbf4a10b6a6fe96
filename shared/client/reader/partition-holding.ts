import type { KeptCheckpoint } from "./kept-checkpoint.ts";
import type { CimEvent } from "./read-event.ts";
import type { Subscription } from "./subscription.ts";

export interface PartitionHoldingInit {
  readonly partition: number;
  /** Of the claim. */
  readonly fence: number;
  readonly kept: KeptCheckpoint;
  readonly subscription: Subscription;
  readonly isMine: (event: CimEvent) => boolean;
  /** There is something to take. */
  readonly onReady: () => void;
}

/** How much waits to be handed out, of events and of bytes of their bodies; one event may exceed it. */
const MAX_WAITING = 256;
const MAX_WAITING_BYTES = 1024 * 1024;

/** A partition of a group while this process has it: reads all that the group reads, and keeps ready what is of the partition. */
export class PartitionHolding {
  readonly partition: number;
  readonly fence: number;
  readonly kept: KeptCheckpoint;
  readonly subscription: Subscription;
  readonly #init: PartitionHoldingInit;
  /** Events that were handed out. */
  handedOut = 0;
  /** The last one may still be handled: the loop has not come back for the next. */
  isHandled = true;
  ended = false;
  #waiting: CimEvent[] = [];
  #bytes = 0;
  #room: (() => void) | undefined;
  #seen = 0;
  /** The newest that is others', behind all that is its own. */
  #passed: CimEvent | undefined;

  constructor(init: PartitionHoldingInit) {
    this.#init = init;
    this.partition = init.partition;
    this.fence = init.fence;
    this.kept = init.kept;
    this.subscription = init.subscription;
  }

  /** Reads until it is ended. @throws as the subscription's loop */
  async read(): Promise<void> {
    const { isMine, onReady, subscription } = this.#init;
    for await (const event of subscription) {
      if (this.ended) return;
      this.#seen += 1;
      if (!isMine(event)) {
        this.#passed = event;
        continue;
      }
      this.#passed = undefined;
      this.#waiting.push(event);
      this.#bytes += event.data.byteLength;
      onReady();
      while (!this.ended && (this.#waiting.length >= MAX_WAITING || this.#bytes >= MAX_WAITING_BYTES)) {
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
      }
    }
  }

  /** The next event, to be handed out; undefined: none is here. */
  take(): CimEvent | undefined {
    const event = this.#waiting.shift();
    if (!event) return undefined;
    this.#bytes -= event.data.byteLength;
    this.#room?.();
    return event;
  }

  /** All that was handed out is saved. */
  get isSaved(): boolean {
    return this.kept.saved >= this.handedOut;
  }

  /** Keeps how far it has come through other partitions' events, when all of its own are handed out and saved. */
  async progress(): Promise<void> {
    if (!this.isSaved || this.#waiting.length > 0 || this.kept.taken) return;
    const { rest } = this.subscription;
    const passed = this.#passed;
    const isAtRest = rest !== undefined && rest.events === this.#seen;
    const checkpoint = isAtRest ? rest.checkpoint : passed && (() => passed.checkpoint);
    // What is passed is not behind the rest: a checkpoint never goes back.
    if (isAtRest) this.#passed = undefined;
    if (checkpoint) await this.kept.progress(this.handedOut, checkpoint);
  }

  /** Nothing more is handed out; what waits is left to whoever has the partition next. */
  end(): void {
    this.ended = true;
    this.#room?.();
    this.subscription.end();
  }
}
