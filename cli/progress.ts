import { countWords } from "./quantity-words.ts";

const TERMINAL_EVERY_MS = 100;
const PLAIN_EVERY_MS = 5_000;

/** How far a long command is, on stderr: one line in place on a terminal, a plain line now and then elsewhere. */
export class Progress implements Disposable {
  readonly #verb: string;
  readonly #startMs = performance.now();
  #endMs: number | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #terminal = process.stderr.isTTY;
  #shown = false;
  /** undefined: not known. */
  total: number | undefined;
  done = 0;

  /** @param verb as `published` */
  constructor(verb: string, total: number | undefined) {
    this.#verb = verb;
    this.total = total;
    this.#timer = setInterval(() => this.#show(), this.#terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS);
  }

  /** Since the beginning, until it was disposed of. */
  get seconds(): number {
    return Math.max(0.001, ((this.#endMs ?? performance.now()) - this.#startMs) / 1000);
  }

  [Symbol.dispose](): void {
    this.#endMs ??= performance.now();
    clearInterval(this.#timer);
    if (this.#shown && this.#terminal) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }

  #show(): void {
    const of = this.total === undefined ? "" : ` of ${countWords(this.total)}`;
    const line = `${this.#verb} ${countWords(this.done)}${of}, ${countWords(Math.round(this.done / this.seconds))}/s`;
    process.stderr.write(this.#terminal ? `\r${line}\x1b[K` : `${line}\n`);
    this.#shown = true;
  }
}
