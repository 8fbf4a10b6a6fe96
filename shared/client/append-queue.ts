import { setImmediate as nextTurn } from "node:timers/promises";
import { MAX_BATCH_MESSAGES } from "../nats/batch-publisher.ts";
import { AppendCancelled, ClientBusy } from "./append-errors.ts";
import type { Unit } from "./write-events.ts";
import type { Stored } from "./write-outcome.ts";

/** What became of a unit: what was stored, or the error its caller gets. */
export type Settled = readonly Stored[] | Error;

export interface Written {
  /** Of each unit, in their order. */
  readonly settled: readonly Settled[];
  /** Given when waiting is in vain: everything that waits fails at once, with this error. */
  readonly failRest?: (unit: Unit) => Error;
}

/** What may wait, with what is on its way. One unit alone may exceed it. */
export interface QueueLimits {
  readonly bytes: number;
  readonly events: number;
}

export interface AppendQueueInit {
  /** Writes a group in order. What it throws is a fault of all of the group. */
  readonly write: (group: readonly Unit[]) => Promise<Written>;
  readonly limits: QueueLimits;
}

/** A group is one sync, so larger ones are cheaper per event; beyond this they only make others wait. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

interface Waiting {
  readonly unit: Unit;
  readonly bytes: number;
  readonly settle: (settled: Settled) => void;
}

/**
 * Group commit: while one group is written, all that arrives gathers and is the next one (as databases do for their log;
 * Helland et al., "Group Commit Timers", 1987, without the timer). First come, first written. Bounded: what does not fit is
 * refused, and who waits for room first is not.
 */
export class AppendQueue {
  readonly #init: AppendQueueInit;
  readonly #queue = new Set<Waiting>();
  /** Whose events are on their way. */
  readonly #sent = new Set<Waiting>();
  #bytes = 0;
  #events = 0;
  #running: Promise<void> | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(init: AppendQueueInit) {
    this.#init = init;
  }

  get limits(): QueueLimits {
    return this.#init.limits;
  }

  /** Resolves when the unit is stored. @throws {ClientBusy} at once; else the unit's error */
  append(unit: Unit, signal?: AbortSignal): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        const sent = this.#sent.has(waiting);
        if (this.#queue.delete(waiting)) this.#release(waiting);
        const { name } = signal?.reason instanceof Error ? signal.reason : { name: "" };
        const why = name === "TimeoutError" ? "its time is over" : "it was cancelled";
        settle(new AppendCancelled(why, sent ? "unknown" : "not-stored", { cause: signal?.reason }));
      };
      const settle = (settled: Settled) => {
        signal?.removeEventListener("abort", giveUp);
        if (settled instanceof Error) reject(settled);
        else resolve(settled);
      };
      const bytes = unit.reduce((total, event) => total + event.bytes, 0);
      const waiting: Waiting = { unit, bytes, settle };
      if (signal?.aborted) return giveUp();
      const busy = this.#refusal(waiting);
      if (busy) return reject(busy);
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#queue.add(waiting);
      this.#bytes += bytes;
      this.#events += unit.length;
      this.#running ??= this.#run();
    });
  }

  /** Resolves when half of what may wait is free. */
  async room(): Promise<void> {
    if (this.#isRoomy()) return;
    this.#room ??= Promise.withResolvers();
    await this.#room.promise;
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #refusal({ unit, bytes }: Waiting): ClientBusy | undefined {
    if (this.#events === 0) return undefined;
    const { limits } = this.#init;
    const [eventsThen, bytesThen] = [this.#events + unit.length, this.#bytes + bytes];
    if (bytesThen > limits.bytes) return new ClientBusy("maxQueuedBytes", limits.bytes, bytesThen);
    if (eventsThen > limits.events) return new ClientBusy("maxQueuedEvents", limits.events, eventsThen);
    return undefined;
  }

  #isRoomy(): boolean {
    const { bytes, events } = this.#init.limits;
    return this.#bytes <= bytes / 2 && this.#events <= events / 2;
  }

  #release({ unit, bytes }: Waiting): void {
    this.#bytes -= bytes;
    this.#events -= unit.length;
    if (!this.#room || !this.#isRoomy()) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  async #run(): Promise<void> {
    while (this.#queue.size > 0) {
      // Whoever was just answered, and whoever else is ready now, belongs into the next group.
      await nextTurn();
      const group = this.#nextGroup();
      if (group.length === 0) continue;
      for (const one of group) this.#sent.add(one);
      const { settled, failRest } = await this.#write(group.map(({ unit }) => unit));
      this.#sent.clear();
      for (const [at, one] of group.entries()) {
        this.#release(one);
        one.settle(settled[at] ?? new Error("the write said nothing of it"));
      }
      if (failRest) this.#failWaiting(failRest);
    }
    this.#running = undefined;
  }

  /** Takes the units that make the next group: at least one, if any waits. */
  #nextGroup(): Waiting[] {
    const group: Waiting[] = [];
    let messages = 0;
    let bytes = 0;
    for (const one of this.#queue) {
      messages += one.unit.length;
      bytes += one.bytes;
      if (group.length > 0 && (messages > MAX_BATCH_MESSAGES || bytes > MAX_GROUP_BYTES)) break;
      group.push(one);
      this.#queue.delete(one);
    }
    return group;
  }

  async #write(group: readonly Unit[]): Promise<Written> {
    try {
      return await this.#init.write(group);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      return { settled: group.map(() => failure) };
    }
  }

  #failWaiting(errorOf: (unit: Unit) => Error): void {
    const waiting = [...this.#queue];
    this.#queue.clear();
    for (const one of waiting) {
      this.#release(one);
      one.settle(errorOf(one.unit));
    }
  }
}
