import type { PartitionHolding } from "./partition-holding.ts";
import type { CimEvent } from "./read-event.ts";

/** So many events of one partition in a row, so that batches of it are worth a transaction; then others have their turn. */
const IN_A_ROW = 256;

/** Events of several partitions as one sequence, each partition's in its order. */
export class HandOut {
  /** The first is the one whose turn it is. */
  #holdings: PartitionHolding[] = [];
  #inARow = 0;
  #wake: (() => void) | undefined;
  #failure: unknown;
  #ended = false;

  add(holding: PartitionHolding): void {
    this.#holdings.push(holding);
    this.look();
  }

  /** A partition that is given up. */
  remove(holding: PartitionHolding): void {
    this.#holdings = this.#holdings.filter((one) => one !== holding);
  }

  /** There is something to take, or it may be taken, which it might not before. */
  look(): void {
    this.#wake?.();
  }

  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake?.();
  }

  /** The next event, while `mayTake` allows any; undefined at the end. @throws what ended it */
  async take(
    mayTake: () => boolean,
  ): Promise<{ readonly holding: PartitionHolding; readonly event: CimEvent } | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      const found = mayTake() ? this.#next() : undefined;
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #next(): { readonly holding: PartitionHolding; readonly event: CimEvent } | undefined {
    for (let tries = 0; tries < this.#holdings.length; tries++) {
      const holding = this.#holdings[0] as PartitionHolding;
      const event = this.#inARow < IN_A_ROW ? holding.take() : undefined;
      if (event) {
        this.#inARow += 1;
        return { holding, event };
      }
      this.#holdings = [...this.#holdings.slice(1), holding];
      this.#inARow = 0;
    }
    // The only one there is, after its turn.
    const [holding] = this.#holdings;
    const event = holding?.take();
    return holding && event && { holding, event };
  }
}
