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
  /** Offers the next event; resolves with whether it was handed out. */
  readonly offer: (holding: PartitionHolding, event: CimEvent) => Promise<boolean>;
}

/** A partition of a group while this process has it: reads all that the group reads, and offers what is of the partition. */
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
  #seen = 0;
  #isOffering = false;
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
    const { isMine, offer, subscription } = this.#init;
    for await (const event of subscription) {
      if (this.ended) return;
      this.#seen += 1;
      if (isMine(event)) {
        this.#isOffering = true;
        const isTaken = await offer(this, event);
        // Then nothing behind it is passed, either.
        if (!isTaken) return this.end();
        this.#isOffering = false;
        this.#passed = undefined;
      } else this.#passed = event;
      if (this.ended) return;
    }
  }

  /** All that was handed out is saved. */
  get isSaved(): boolean {
    return this.kept.saved >= this.handedOut;
  }

  /** Keeps how far it has come through other partitions' events, when all of its own are saved. */
  async progress(): Promise<void> {
    if (!this.isSaved || this.kept.taken) return;
    const { rest } = this.subscription;
    const isAtRest = rest !== undefined && rest.events === this.#seen && !this.#isOffering;
    const passed = this.#passed;
    if (isAtRest) this.#passed = undefined;
    const checkpoint = isAtRest ? rest.checkpoint : passed && (() => passed.checkpoint);
    if (checkpoint) await this.kept.progress(this.handedOut, checkpoint);
  }

  /** Nothing more is offered. */
  end(): void {
    this.ended = true;
    this.subscription.end();
  }
}
