import type { Report, SourceInit } from "./source.ts";

/** The running of a source: from its start to its disposal it looks, and what is new to say is passed on. */
export class SourceRun implements AsyncDisposable {
  readonly #onReport: SourceInit["onReport"];
  readonly #ended = new AbortController();
  #looking: Promise<void> | undefined;
  #last = "";

  constructor({ onReport }: SourceInit) {
    this.#onReport = onReport;
  }

  /** Aborted when the source's disposal began. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** @param look ends soon after the signal is aborted, and does not fail */
  start(look: () => Promise<void>): void {
    this.#looking = look();
  }

  report(report: Report): void {
    if (this.signal.aborted) return;
    const text = JSON.stringify(report);
    if (text === this.#last) return;
    this.#last = text;
    this.#onReport(report);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#looking;
  }
}
