import { nextTurnMs } from "../../coordinator/health/health-timing.ts";
import { NodeDetector, type ProbeResult } from "../../coordinator/health/node-detector.ts";
import type { HealthState } from "../../coordinator/health/verdict.ts";

/** A node and its link as a test wants them, from now on. */
export interface SimulatedLink {
  /** What is sent disappears, either way, as often (0 to 1). */
  loss: number;
  /** Longest that a message is on its way, each by chance, ms. */
  jitterMs: number;
  /** Nothing passes, and nobody is told. */
  blackhole: boolean;
}

export interface SimulatedNodeInit {
  readonly intervalMs: number;
  readonly random: () => number;
  readonly link?: Partial<SimulatedLink>;
  /** Whether there is a `url` to probe. */
  readonly url?: boolean;
  readonly retries?: number;
}

interface Event {
  readonly atMs: number;
  readonly happen: () => void;
}

export interface Change {
  readonly atMs: number;
  readonly state: HealthState;
  readonly suspect: boolean;
  readonly part: "agent" | "server" | null;
}

/** One node, its link and the detector that judges it, on a clock that is only counted: an hour takes a second. */
export class SimulatedNode {
  readonly detector: NodeDetector;
  readonly changes: Change[] = [];
  readonly link: SimulatedLink;
  agentRuns = true;
  serverRuns = true;
  /** What a probe of its `url` finds: null: by whether the server runs, on a host that answers. */
  probe: ProbeResult | null = null;
  readonly #init: SimulatedNodeInit;
  readonly #events: Event[] = [];
  #nowMs = 0;
  #lastArrivalMs = 0;

  constructor(init: SimulatedNodeInit) {
    this.#init = init;
    this.link = { loss: 0, jitterMs: 0, blackhole: false, ...init.link };
    const slow = { intervalMs: 30_000, timeoutMs: 5_000, retries: init.retries ?? 3 };
    this.detector = new NodeDetector({ slow, intervalMs: init.intervalMs, atMs: 0 });
    this.detector.link(true, 0);
    this.#at(init.random() * init.intervalMs, () => this.#beat());
    this.#at(init.random() * nextTurnMs(0), () => this.#turn());
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get state(): HealthState {
    return this.detector.standing.state;
  }

  /** What was shown since a moment, without doubts. */
  statesSince(atMs: number): HealthState[] {
    return this.changes.filter((change) => change.atMs >= atMs).map(({ state }) => state);
  }

  /** Lets time pass. */
  run(ms: number): this {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#events[0];
      if (!next || next.atMs > untilMs) break;
      this.#events.shift();
      this.#nowMs = next.atMs;
      next.happen();
    }
    this.#nowMs = untilMs;
    return this;
  }

  /** The socket of the link is closed, or there is a new one: the hub's server tells at once. */
  linkChanges(up: boolean): this {
    this.detector.link(up, this.#nowMs);
    this.#look();
    return this;
  }

  sayGoodbye(): this {
    this.agentRuns = false;
    this.#send(() => {
      this.detector.goodbye(this.#nowMs);
      this.#look();
    });
    return this;
  }

  #beat(): void {
    this.#at(this.#nowMs + this.#init.intervalMs, () => this.#beat());
    if (this.agentRuns && this.serverRuns) this.#send(() => this.#heard(false));
  }

  #heard(asked: boolean): void {
    this.detector.heard(this.#nowMs, { intervalMs: this.#init.intervalMs, asked });
    this.#look();
  }

  #turn(): void {
    this.#look();
    const againMs = nextTurnMs(Math.max(0, this.detector.restMs(this.#nowMs)));
    this.#at(this.#nowMs + againMs, () => this.#turn());
    const { ask, probe } = this.detector.questions(this.#nowMs, this.#init.url ?? false);
    if (ask) this.#ask();
    if (!probe) return;
    const beganAtMs = this.#nowMs;
    this.detector.probing(beganAtMs);
    const found = this.probe ?? (this.serverRuns ? "answers" : "refused");
    this.#at(this.#nowMs + (found === "silent" ? 5_000 : 1), () => {
      this.detector.probed(found, beganAtMs);
      this.#look();
    });
  }

  #ask(): void {
    const askedAtMs = this.#nowMs;
    this.detector.asked(askedAtMs);
    this.#send(() => {
      if (!this.serverRuns) return;
      this.#send(() => {
        this.detector.serverAnswered(askedAtMs, this.#nowMs);
        this.#look();
      });
      if (this.agentRuns) this.#send(() => this.#heard(true));
    });
  }

  /** Over the link, in order as a connection keeps it, unless it is lost. */
  #send(arrive: () => void): void {
    const { loss, jitterMs, blackhole } = this.link;
    if (blackhole || this.#init.random() < loss) return;
    const atMs = Math.max(this.#lastArrivalMs, this.#nowMs + this.#init.random() * jitterMs);
    this.#lastArrivalMs = atMs;
    this.#at(atMs, () => {
      if (!this.link.blackhole) arrive();
    });
  }

  #look(): void {
    if (!this.detector.look(this.#nowMs)) return;
    const { state, suspect, part } = this.detector.standing;
    this.changes.push({ atMs: this.#nowMs, state, suspect, part });
  }

  #at(atMs: number, happen: () => void): void {
    const at = this.#events.findIndex((event) => event.atMs > atMs);
    this.#events.splice(at === -1 ? this.#events.length : at, 0, { atMs, happen });
  }
}
