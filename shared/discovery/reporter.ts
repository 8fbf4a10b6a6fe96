import type { Report } from "./source.ts";

/** Passes on what is new to say, until the source has ended. */
export class Reporter {
  readonly #onReport: (report: Report) => void;
  readonly #ended: AbortSignal;
  #last = "";

  constructor(onReport: (report: Report) => void, ended: AbortSignal) {
    this.#onReport = onReport;
    this.#ended = ended;
  }

  report(report: Report): void {
    if (this.#ended.aborted) return;
    const text = JSON.stringify(report);
    if (text === this.#last) return;
    this.#last = text;
    this.#onReport(report);
  }
}
