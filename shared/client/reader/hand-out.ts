import type { PartitionHolding } from "./partition-holding.ts";
import type { CimEvent } from "./read-event.ts";

interface Offer {
  readonly holding: PartitionHolding;
  readonly event: CimEvent;
  readonly settle: (isTaken: boolean) => void;
}

/** Events of several partitions as one sequence: each partition offers one at a time, whoever came first is first. */
export class HandOut {
  #offers: Offer[] = [];
  #wake: (() => void) | undefined;
  #failure: unknown;
  #ended = false;

  /** @returns whether the event was handed out; false: its partition was given up, or all ended */
  offer(holding: PartitionHolding, event: CimEvent): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#offers.push({ holding, event, settle: resolve });
      this.#wake?.();
    });
  }

  /** Drops what a partition that is given up has offered. */
  drop(holding: PartitionHolding): void {
    for (const offer of this.#offers) if (offer.holding === holding) offer.settle(false);
    this.#offers = this.#offers.filter((offer) => offer.holding !== holding);
  }

  /** What is offered may be takeable now, which it was not before. */
  look(): void {
    this.#wake?.();
  }

  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure ??= failure;
    for (const { settle } of this.#offers) settle(false);
    this.#offers = [];
    this.#wake?.();
  }

  /** The next event, for as long as `mayTake` allows any; undefined at the end. @throws what ended it */
  async take(
    mayTake: () => boolean,
  ): Promise<{ readonly holding: PartitionHolding; readonly event: CimEvent } | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      const offer = mayTake() ? this.#offers.shift() : undefined;
      if (offer) {
        offer.settle(true);
        return offer;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
