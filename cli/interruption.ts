/** 128 and the signal's number, as shells report it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** The user's wish to end early: the first signal asks, a second one does not wait. */
export class Interruption implements Disposable {
  readonly #ended = new AbortController();
  readonly #listeners: [NodeJS.Signals, () => void][] = [];
  exitCode: number | undefined;

  constructor() {
    for (const [signal, code] of Object.entries(EXIT_CODES) as [keyof typeof EXIT_CODES, number][]) {
      const listener = () => {
        if (this.exitCode !== undefined) process.exit(code);
        this.exitCode = code;
        this.#ended.abort();
      };
      this.#listeners.push([signal, listener]);
      process.on(signal, listener);
    }
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get came(): boolean {
    return this.exitCode !== undefined;
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}
