import { setImmediate as nextTurn } from "node:timers/promises";
import { MAX_BATCH_MESSAGES } from "../nats/batch-publisher.ts";
import { AppendCancelled } from "./append-errors.ts";
import type { Unit } from "./write-events.ts";
import type { Stored } from "./write-outcome.ts";

/** What became of a unit: what was stored, or the error its caller gets. */
export type Settled = readonly Stored[] | Error;

export interface Written {
  /** Of each unit, in their order. */
  readonly settled: readonly Settled[];
  /** Given when waiting is in vain: everything that waits fails at once, with this error. */
  readonly failRest?: (unit: Unit | undefined) => Error;
}

export interface AppendQueueInit {
  /** Writes a group in order. What it throws is a fault of all of the group. */
  readonly write: (group: readonly Unit[]) => Promise<Written>;
  /** How many encoded bytes may wait; one unit may exceed it. */
  readonly maxBytes: number;
}

/** A group is one sync, so larger ones are cheaper per event; beyond this they only make others wait. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

interface Caller {
  /** Encodes late: what has no room yet is not held twice. May throw. */
  readonly make: () => Unit;
  readonly settle: (settled: Settled) => void;
  /** Its caller has given up; it is not to be sent. */
  given?: "up";
}

interface Waiting {
  readonly caller: Caller;
  readonly unit: Unit;
  readonly bytes: number;
  readonly settle: (settled: Settled) => void;
}

/**
 * Group commit: while one group is written, all that arrives gathers and is the next one (as databases do for their log;
 * Helland et al., "Group Commit Timers", 1987, without the timer). First come, first written.
 */
export class AppendQueue {
  readonly #init: AppendQueueInit;
  /** Not yet encoded, because the queue is full. */
  #callers: Caller[] = [];
  #queue: Waiting[] = [];
  /** Whose events are on their way. */
  #sent = new Set<Caller>();
  #bytes = 0;
  #running: Promise<void> | undefined;

  constructor(init: AppendQueueInit) {
    this.#init = init;
  }

  /** Resolves when the unit is stored. @throws what `make` throws, or the unit's error */
  append(make: () => Unit, signal?: AbortSignal): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        const sent = this.#sent.has(caller);
        if (!sent) caller.given = "up";
        const { name } = signal?.reason instanceof Error ? signal.reason : { name: "" };
        const why = name === "TimeoutError" ? "its time is over" : "it was cancelled";
        settle(new AppendCancelled(why, sent ? "unknown" : "not-stored", { cause: signal?.reason }));
      };
      const settle = (settled: Settled) => {
        signal?.removeEventListener("abort", giveUp);
        if (settled instanceof Error) reject(settled);
        else resolve(settled);
      };
      const caller: Caller = { make, settle };
      if (signal?.aborted) return giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#callers.push(caller);
      this.#admit();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #admit(): void {
    while (this.#callers.length > 0 && this.#bytes < this.#init.maxBytes) {
      const caller = this.#callers.shift() as Caller;
      const { make, settle } = caller;
      if (caller.given) continue;
      try {
        const unit = make();
        const bytes = unit.reduce((total, event) => total + event.bytes, 0);
        this.#queue.push({ caller, unit, bytes, settle });
        this.#bytes += bytes;
      } catch (error) {
        settle(error instanceof Error ? error : new Error(String(error)));
      }
    }
    if (this.#queue.length > 0) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // Whoever was just answered, and whoever else is ready now, belongs into the next group.
      await nextTurn();
      this.#dropGivenUp();
      const group = this.#queue.splice(0, groupLength(this.#queue));
      if (group.length === 0) continue;
      this.#sent = new Set(group.map(({ caller }) => caller));
      const { settled, failRest } = await this.#write(group.map(({ unit }) => unit));
      for (const [at, { settle, bytes }] of group.entries()) {
        this.#bytes -= bytes;
        settle(settled[at] ?? new Error("the write said nothing of it"));
      }
      this.#sent.clear();
      if (failRest) this.#failWaiting(failRest);
      this.#admit();
    }
    this.#running = undefined;
  }

  #dropGivenUp(): void {
    this.#queue = this.#queue.filter(({ caller, bytes }) => {
      if (caller.given) this.#bytes -= bytes;
      return !caller.given;
    });
    this.#admit();
  }

  async #write(group: readonly Unit[]): Promise<Written> {
    try {
      return await this.#init.write(group);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      return { settled: group.map(() => failure) };
    }
  }

  #failWaiting(errorOf: (unit: Unit | undefined) => Error): void {
    const [queue, callers] = [this.#queue, this.#callers];
    [this.#queue, this.#callers, this.#bytes] = [[], [], 0];
    for (const { unit, settle } of queue) settle(errorOf(unit));
    for (const { settle } of callers) settle(errorOf(undefined));
  }
}

/** How many of the waiting units make the next group: at least one. */
function groupLength(waiting: readonly Waiting[]): number {
  let messages = 0;
  let bytes = 0;
  for (const [at, one] of waiting.entries()) {
    messages += one.unit.length;
    bytes += one.bytes;
    if (at > 0 && (messages > MAX_BATCH_MESSAGES || bytes > MAX_GROUP_BYTES)) return at;
  }
  return waiting.length;
}
