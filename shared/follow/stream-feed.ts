import type { StreamReader } from "../nats/stream-reader.ts";
import type { StoredMessage } from "../protocol/event.ts";

export interface FeedInit {
  readonly open: () => Promise<StreamReader>;
  readonly take: (messages: StoredMessage[]) => void;
  /** Whether more may come; when not, nothing is read until `wake`. */
  readonly hungry: () => boolean;
  /** It ended by itself. */
  readonly broken: (error: unknown) => void;
}

/** Reads one stream into one taker, as fast as the taker takes. At most one reading at a time. */
export class StreamFeed {
  #run = 0;
  #reader: StreamReader | undefined;
  #wake: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();

  begin(init: FeedInit): void {
    this.end("started over");
    const run = this.#run;
    this.#done = this.#done.then(() => this.#feed(run, init));
  }

  /** Ends the reading; nothing more is taken after this returns. */
  end(reason: string): void {
    this.#run += 1;
    this.#reader?.break(reason);
    this.#reader = undefined;
    this.wake();
  }

  /** The taker may be hungry again. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Resolves when the last reading has let go of its consumer. */
  settled(): Promise<void> {
    return this.#done;
  }

  async #feed(run: number, init: FeedInit): Promise<void> {
    if (run !== this.#run) return;
    try {
      await using reader = await init.open();
      if (run !== this.#run) return;
      this.#reader = reader;
      while (run === this.#run) {
        const messages = await reader.next();
        if (run !== this.#run) return;
        init.take(messages);
        while (run === this.#run && !init.hungry()) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } catch (error) {
      if (run === this.#run) init.broken(error);
    }
  }
}
