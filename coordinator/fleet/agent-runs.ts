import type { Heartbeat } from "../../shared/protocol/messages.ts";

/** Runs of an agent that another took the place of; more than a node can have within a moment. */
const REMEMBERED = 8;
/** Two runs of one name within so many heartbeats are two agents, not a restart. */
const WINDOW_INTERVALS = 8;

/**
 * Tells an agent that was restarted from two that run under one name. A restart brings a run that was never seen before;
 * a run that speaks again after another took its place is a second agent. No clock of theirs is asked.
 */
export class AgentRuns {
  #current: string | undefined;
  readonly #replaced = new Set<string>();
  #secondAtMs: number | undefined;
  #intervalMs = 0;

  /**
   * Whether this heartbeat is the node's. A second agent's is not, while the first one speaks: nothing of the node flips
   * between the two.
   */
  take(heartbeat: Pick<Heartbeat, "run" | "intervalMs">, atMs: number, currentSpeaks: boolean): boolean {
    const { run, intervalMs } = heartbeat;
    if (run === this.#current) return true;
    if (this.#replaced.has(run) && currentSpeaks) {
      this.#secondAtMs = atMs;
      return false;
    }
    if (this.#current !== undefined) this.#remember(this.#current);
    this.#replaced.delete(run);
    this.#current = run;
    this.#intervalMs = intervalMs;
    return true;
  }

  isCurrent(run: string): boolean {
    return run === this.#current;
  }

  /** Two agents spoke under one name lately. */
  areTwo(atMs: number): boolean {
    return this.#secondAtMs !== undefined && atMs - this.#secondAtMs < WINDOW_INTERVALS * this.#intervalMs;
  }

  #remember(run: string): void {
    this.#replaced.add(run);
    if (this.#replaced.size <= REMEMBERED) return;
    const [oldest] = this.#replaced;
    if (oldest !== undefined) this.#replaced.delete(oldest);
  }
}
