import type { Verified, VerifyOptions } from "./prover.ts";

/** What was asked to be compared: how far it is, or what came of it. */
export interface RunState {
  readonly run: number;
  readonly done: number;
  readonly of: number;
  readonly result: Verified | null;
}

interface Run {
  readonly key: string;
  state: RunState;
  readonly ended: Promise<void>;
}

/** A program that asks goes away meanwhile, or asks again: what came of it is kept so long for it. */
const MOST_KEPT = 8;

type Verify = (options: VerifyOptions, onProgress: (done: number, of: number) => void) => Promise<Verified>;

/** Comparisons that were asked for. The same that is under way already is not begun twice. */
export class VerifyRuns {
  readonly #verify: Verify;
  readonly #runs = new Map<number, Run>();
  #next = 1;

  constructor(verify: Verify) {
    this.#verify = verify;
  }

  /** Gives the run's number. */
  begin(options: VerifyOptions): number {
    const key = JSON.stringify(options);
    for (const [number, run] of this.#runs) if (run.key === key && !run.state.result) return number;
    const number = this.#next++;
    const onProgress = (done: number, of: number) => {
      run.state = { ...run.state, done, of };
    };
    const ended = this.#verify(options, onProgress).then(
      (result) => {
        run.state = { ...run.state, result };
      },
      () => {
        this.#runs.delete(number);
      },
    );
    const run: Run = { key, state: { run: number, done: 0, of: 0, result: null }, ended };
    this.#runs.set(number, run);
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined && this.#runs.size > MOST_KEPT) this.#runs.delete(oldest);
    return number;
  }

  /** Where it stands after it ended or that time passed; undefined: there is no such run (any more). */
  async stateOf(number: number, waitMs: number): Promise<RunState | undefined> {
    const run = this.#runs.get(number);
    if (!run) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([run.ended, waited]);
    clearTimeout(timer);
    return this.#runs.get(number)?.state;
  }
}
