import { ArrivalEstimate } from "./arrival-estimate.ts";
import { FlapDamping } from "./flap-damping.ts";
import { type HealthTiming, healthTiming } from "./health-timing.ts";
import { type Evidence, type Verdict, verdictOf } from "./verdict.ts";

/** The guide's numbers, in ms: how often what is well is looked at, how long that may take, how often it may fail. */
export interface SlowFloor {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
}

export interface NodeDetectorInit {
  readonly slow: SlowFloor;
  /** Until a heartbeat says how often it comes. */
  readonly intervalMs: number;
  readonly atMs: number;
}

export type ProbeResult = "answers" | "refused" | "silent";

/** What the detector wants to have asked now. */
export interface Questions {
  /** Its agent's status and its server's API, over the link. */
  readonly ask: boolean;
  readonly probe: boolean;
}

/** A verdict with what damping and time made of it. */
export interface Standing extends Verdict {
  /** It comes and goes; for how long it is held back still, ms. 0: it is not. */
  readonly heldBackMs: number;
}

const NOTHING: Questions = { ask: false, probe: false };

/** After a verdict questions go on, so that an answer's absence is noticed: so many within the silence that counts. */
const ASKS_PER_SILENCE = 4;
/** A probe that is refused is repeated at once, not at the slow floor's pace; so many more than needed. */
const EXTRA_PROBES = 2;

/**
 * Judges one node from what is heard of it. Pure: no clock, no connection; all times are of the `AttentionClock`, ms, and
 * must not go back. `look` draws the consequences of time.
 */
export class NodeDetector {
  #slow: SlowFloor;
  readonly #arrivals = new ArrivalEstimate();
  readonly #damping = new FlapDamping();
  #intervalMs: number;
  #rttMs: number | null = null;
  #timing: HealthTiming;
  #link: Evidence["link"] = "none";
  /** When that became so; before it was seen, when the node was first known. */
  #linkAtMs: number;
  #heardAtMs: number | undefined;
  #saidGoodbye = false;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the newest answer of its server: when the question was sent, and when the answer came. */
  #answer: { readonly askedAtMs: number; readonly atMs: number } | undefined;
  /** Since when the server owes an answer, and how often in a row it gave none in time. */
  #owedSinceMs: number | undefined;
  #failures = 0;
  #probedAtMs: number | undefined;
  #probing = false;
  /** The newest result, and when that probe began. */
  #probe: { readonly result: ProbeResult; readonly beganAtMs: number } | undefined;
  /** In a row. */
  #refusals = 0;
  /** Probes since the node was last well. */
  #probes = 0;
  #standing: Standing;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  constructor(init: NodeDetectorInit) {
    this.#slow = init.slow;
    this.#intervalMs = init.intervalMs;
    this.#linkAtMs = init.atMs;
    this.#timing = this.#newTiming();
    this.#standing = { ...verdictOf(this.evidence(init.atMs)), heldBackMs: 0 };
  }

  get standing(): Standing {
    return this.#standing;
  }

  get heardAtMs(): number | undefined {
    return this.#heardAtMs;
  }

  get timing(): HealthTiming {
    return this.#timing;
  }

  configure(slow: SlowFloor): void {
    this.#slow = slow;
    this.#wake();
  }

  /** Its agent spoke: a heartbeat, or an answer. Only heartbeats come at a pace. */
  heard(atMs: number, heartbeat: { readonly intervalMs: number; readonly asked?: boolean }): void {
    this.#saidGoodbye = false;
    this.#heardAtMs = atMs;
    if (heartbeat.intervalMs !== this.#intervalMs) {
      this.#intervalMs = heartbeat.intervalMs;
      this.#arrivals.restart();
      this.#timing = this.#newTiming();
    }
    if (!heartbeat.asked) this.#arrivals.arrived(atMs);
  }

  goodbye(atMs: number): void {
    this.#heardAtMs = atMs;
    this.#saidGoodbye = true;
    this.#arrivals.interrupted();
    this.#wake();
  }

  link(up: boolean, atMs: number): void {
    this.#link = up ? "up" : "down";
    this.#linkAtMs = atMs;
    this.#refusals = 0;
    this.#probes = 0;
    this.#probing = false;
    this.#probedAtMs = undefined;
    this.#answer = undefined;
    this.#owedSinceMs = undefined;
    this.#failures = 0;
    this.#askedAtMs = Number.NEGATIVE_INFINITY;
    this.#arrivals.interrupted();
    this.#wake();
  }

  roundTrip(rttMs: number | null): void {
    this.#rttMs = rttMs;
  }

  /** Both questions were sent. */
  asked(atMs: number): void {
    this.#askedAtMs = atMs;
    this.#owedSinceMs ??= atMs;
    if (atMs - this.#owedSinceMs < this.#answerTimeoutMs()) return;
    this.#failures += 1;
    this.#owedSinceMs = atMs;
  }

  /** The server's API answered what was asked at `askedAtMs`. */
  serverAnswered(askedAtMs: number, atMs: number): void {
    this.#answer = { askedAtMs, atMs };
    this.#owedSinceMs = undefined;
    this.#failures = 0;
    this.#wake();
  }

  probing(atMs: number): void {
    this.#probing = true;
    this.#probes += 1;
    this.#probedAtMs = atMs;
  }

  /** What the probe that began at `beganAtMs` found. */
  probed(result: ProbeResult, beganAtMs: number): void {
    if (beganAtMs === this.#probedAtMs) this.#probing = false;
    if (beganAtMs < this.#linkAtMs) return;
    this.#probe = { result, beganAtMs };
    this.#refusals = result === "refused" ? this.#refusals + 1 : 0;
    this.#wake();
  }

  /**
   * It is well, and nothing is to be asked or judged for so long, ms: of most nodes, at most times. 0 or less: there may be.
   */
  restMs(atMs: number): number {
    return this.#restUntilMs - atMs;
  }

  /** What is to be asked now. `url`: there is something to probe. */
  questions(atMs: number, url: boolean): Questions {
    if (this.restMs(atMs) > 0) return NOTHING;
    const { suspect, state } = this.#standing;
    const well = state === "up" && !suspect;
    const ask = this.#link === "up" && !this.#saidGoodbye && atMs - this.#askedAtMs >= this.#askEveryMs(well);
    return { ask, probe: url && !this.#probing && this.#probeIsDue(atMs, well) };
  }

  /** Judges anew. Gives true when the verdict is another one than before. */
  look(atMs: number): boolean {
    if (this.restMs(atMs) > 0) return false;
    this.#timing = this.#newTiming();
    const evidence = this.evidence(atMs);
    const before = this.#standing;
    const verdict = verdictOf(evidence);
    if (evidence.agent === "silent") this.#arrivals.interrupted();
    this.#standing = this.#damped(verdict, evidence.agent === "goodbye", atMs);
    const { state, suspect, part, heldBackMs } = this.#standing;
    const isRestful = state === "up" && !suspect && this.#heardAtMs !== undefined;
    this.#restUntilMs = isRestful ? this.#nextLookMs(atMs) : Number.NEGATIVE_INFINITY;
    if (isRestful) this.#probes = 0;
    return (
      state !== before.state ||
      suspect !== before.suspect ||
      part !== before.part ||
      heldBackMs > 0 !== before.heldBackMs > 0
    );
  }

  evidence(atMs: number): Evidence {
    const agent = this.#agent(atMs);
    return { link: this.#link, agent, server: this.#server(atMs), probe: this.#probeSays(agent) };
  }

  #agent(atMs: number): Evidence["agent"] {
    if (this.#saidGoodbye) return "goodbye";
    const { suspectAfterMs, silentAfterMs } = this.#timing;
    const heardAtMs = this.#heardAtMs ?? Number.NEGATIVE_INFINITY;
    // What was sent before the link closed may be read a moment after.
    const settledMs = this.#link === "down" ? this.#intervalMs : 0;
    const isNews = this.#link === "none" || heardAtMs >= this.#linkAtMs + settledMs;
    if (heardAtMs !== Number.NEGATIVE_INFINITY && isNews) {
      const silenceMs = atMs - heardAtMs;
      if (silenceMs < suspectAfterMs) return "speaks";
      return silenceMs < silentAfterMs ? "late" : "silent";
    }
    return this.#link !== "down" && atMs - this.#linkAtMs < silentAfterMs ? "awaited" : "silent";
  }

  #server(atMs: number): Evidence["server"] {
    if (this.#failures >= Math.max(1, this.#slow.retries)) return "silent";
    if (!this.#answer) return "unasked";
    const { suspectAfterMs, silentAfterMs } = this.#timing;
    // Asked so long after the agent was last heard that it should have been heard again meanwhile, had it been alive and
    // the link open: an answer from before a link broke proves nothing about the agent.
    const fromMs = Math.max((this.#heardAtMs ?? 0) + (suspectAfterMs + silentAfterMs) / 2, this.#linkAtMs);
    const freshMs = silentAfterMs + this.#askEveryMs(false);
    const proves = this.#answer.askedAtMs >= fromMs && atMs - this.#answer.atMs <= freshMs;
    return proves ? "answers" : "unasked";
  }

  #answerTimeoutMs(): number {
    const { suspect, state } = this.#standing;
    const { suspectAfterMs, silentAfterMs } = this.#timing;
    return state === "up" && !suspect ? this.#slow.timeoutMs : silentAfterMs - suspectAfterMs;
  }

  #probeSays(agent: Evidence["agent"]): Evidence["probe"] {
    if (!this.#probe) return "none";
    const { result, beganAtMs } = this.#probe;
    const sinceMs = Math.max(this.#heardAtMs ?? 0, this.#linkAtMs);
    // Of a node that fell silent, what was seen before says nothing.
    if (agent !== "speaks" && agent !== "late" && beganAtMs < sinceMs) return "none";
    return result === "refused" && this.#refusals < Math.max(1, this.#slow.retries) ? "none" : result;
  }

  /** Who says goodbye is restarted on purpose: that is no flapping. */
  #damped(verdict: Verdict, onPurpose: boolean, atMs: number): Standing {
    const wasUp = this.#standing.state === "up";
    if (verdict.state !== "up") {
      if (wasUp && !onPurpose) this.#damping.fell(atMs, this.#intervalMs);
      this.#damping.unwell();
      return { ...verdict, heldBackMs: 0 };
    }
    if (wasUp) return { ...verdict, heldBackMs: 0 };
    const heldBackMs = this.#damping.heldBackMs(atMs, this.#intervalMs);
    if (heldBackMs === 0) return { ...verdict, heldBackMs };
    const { state, part } = this.#standing;
    return { state, part, suspect: false, because: "it comes and goes", heldBackMs };
  }

  #askEveryMs(well: boolean): number {
    if (well) return this.#slow.intervalMs;
    const { askEveryMs, silentAfterMs } = this.#timing;
    return this.#standing.state === "up"
      ? askEveryMs
      : Math.max(askEveryMs, silentAfterMs / ASKS_PER_SILENCE);
  }

  #probeIsDue(atMs: number, well: boolean): boolean {
    if (this.#probedAtMs === undefined) return true;
    const hurry = !well && this.#probes < Math.max(1, this.#slow.retries) + EXTRA_PROBES;
    const everyMs = hurry ? 2 * this.#timing.askEveryMs : this.#slow.intervalMs;
    return atMs - this.#probedAtMs >= everyMs;
  }

  /** When the first of these is due: it is late, its server is to be asked, its url to be probed. */
  #nextLookMs(atMs: number): number {
    const slowMs = this.#slow.intervalMs;
    const lateMs = (this.#heardAtMs ?? atMs) + this.#timing.suspectAfterMs;
    const askMs = this.#link === "up" ? this.#askedAtMs + slowMs : lateMs;
    const probeMs = this.#probedAtMs === undefined ? lateMs : this.#probedAtMs + slowMs;
    return Math.min(lateMs, askMs, probeMs);
  }

  #wake(): void {
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
  }

  #newTiming(): HealthTiming {
    const { meanMs, deviationMs } = this.#arrivals;
    return healthTiming({ intervalMs: this.#intervalMs, meanMs, deviationMs, rttMs: this.#rttMs });
  }
}
