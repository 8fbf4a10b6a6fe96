import { renderProgress } from "./report.ts";
import type { Progress } from "./run.ts";

/** Progress: one line that is drawn again on a terminal, a line now and then elsewhere. */
export class Screen {
  readonly #planned: { readonly faults: number; readonly events: number };
  #lastMs = 0;
  #drawn = false;

  constructor(faults: number, events: number) {
    this.#planned = { faults, events };
  }

  progress(progress: Progress): void {
    const line = renderProgress(progress, this.#planned);
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${line}`);
      this.#drawn = true;
    } else if (progress.elapsedMs - this.#lastMs > 10_000) {
      this.#lastMs = progress.elapsedMs;
      process.stderr.write(`${line}\n`);
    }
  }

  line(line: string): void {
    if (this.#drawn) process.stderr.write("\r\x1b[K");
    process.stderr.write(`${line}\n`);
  }

  end(): void {
    if (this.#drawn) process.stderr.write("\n");
  }
}
