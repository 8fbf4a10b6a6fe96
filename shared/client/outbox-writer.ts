import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { ConnectionLost } from "../nats/connection-lost.ts";
import { ConnectionWatch } from "../nats/connection-watch.ts";
import { errorText } from "../protocol/error-text.ts";
import { EVENTS_PREFIX } from "../protocol/subjects.ts";
import { EventRejected, OutboxFull, StoreUnavailable, VersionConflict } from "./append-errors.ts";
import type { Settled, Written } from "./append-queue.ts";
import { askWhy } from "./ask-why.ts";
import { type Unit, writeUnits } from "./write-events.ts";
import type { UnitOutcome } from "./write-outcome.ts";

export interface OutboxWriterInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly url: string;
  /** How long a write may go without an answer, and how long a lost connection is waited for, ms. */
  readonly timeoutMs: number;
  /** Of the connection. */
  readonly watch?: ConnectionWatch;
  /** For how long what was sent may be sent again, ms; below the outbox's `duplicate_window`. */
  readonly recognisedMs?: number;
}

/** A server that starts has its streams within a moment of taking connections. */
const AGAIN_MS = 100;
/**
 * For so long what was sent may be sent again: the outbox recognises a repeated id for two minutes, less what a repeat may
 * wait for its turn.
 */
const RECOGNISED_MS = 90_000;

/**
 * Writes groups to the outbox over a connection that may break: what was on its way then is sent again, and found by its
 * ids where it had arrived. Ends in a result or a named error, in about twice `timeoutMs` at the latest.
 */
export class OutboxWriter {
  readonly #init: OutboxWriterInit;
  readonly #watch: ConnectionWatch;

  constructor(init: OutboxWriterInit) {
    this.#init = init;
    this.#watch = init.watch ?? new ConnectionWatch(init.nc);
  }

  async write(group: readonly Unit[]): Promise<Written> {
    const { url, timeoutMs } = this.#init;
    const deadlineMs = performance.now() + timeoutMs;
    const settled: Settled[] = [];
    let left = group.map((_, at) => at);
    let sentBefore = false;
    let firstSentMs = Number.POSITIVE_INFINITY;
    for (;;) {
      if (!(await this.#watch.connectedWithin(deadlineMs - performance.now()))) {
        const reason = `no connection to nats-server at ${url} for ${timeoutMs} ms`;
        return await this.#giveUp(group, settled, left, reason, sentBefore);
      }
      const nowMs = performance.now();
      if (sentBefore && nowMs - firstSentMs > (this.#init.recognisedMs ?? RECOGNISED_MS)) {
        const reason = "the connection was away for longer than a repeated id is recognised";
        const { settled: failed } = await this.#giveUp(group, settled, left, reason, true);
        return { settled: failed };
      }
      firstSentMs = Math.min(firstSentMs, nowMs);
      const units = left.map((at) => group[at] as Unit);
      const outcomes = await this.#unlessLost(() => this.#attempt(units));
      if (outcomes === "connection lost") {
        sentBefore = true;
        continue;
      }
      let reason = "";
      let unanswered = false;
      const before = left;
      left = [];
      for (const [i, at] of before.entries()) {
        const outcome = outcomes[i] as UnitOutcome;
        if (outcome.kind === "unknown" || (outcome.kind === "not-stored" && outcome.again)) {
          left.push(at);
          reason = outcome.reason;
          unanswered ||= outcome.kind === "unknown";
          continue;
        }
        settled[at] = this.#settle(outcome, group[at] as Unit, sentBefore);
      }
      if (left.length === 0) return { settled };
      if (unanswered)
        return await this.#giveUp(group, settled, left, `no answer within ${timeoutMs} ms (${reason})`, true);
      if (performance.now() + AGAIN_MS > deadlineMs) {
        return await this.#giveUp(group, settled, left, reason, sentBefore);
      }
      await sleep(AGAIN_MS);
    }
  }

  /** What is asked before writing may fail like the write itself. */
  async #attempt(units: readonly Unit[]): Promise<readonly UnitOutcome[] | "connection lost"> {
    try {
      return await writeUnits(this.#init, units);
    } catch (error) {
      if (error instanceof ConnectionLost) return "connection lost";
      const reason = errorText(error);
      return units.map(() => ({ kind: "unknown", reason }));
    }
  }

  #settle(outcome: UnitOutcome, unit: Unit, sentBefore: boolean): Settled {
    const { node } = this.#init;
    switch (outcome.kind) {
      case "stored":
        // After a break in the connection a repeated id is our own.
        return sentBefore ? outcome.events.map(({ seq }) => ({ seq })) : outcome.events;
      case "full":
        return new OutboxFull(node, outcome.reason, idsOf(unit));
      case "rejected":
        return new EventRejected(
          unit.length > 1 ? "events" : "event",
          `${node} does not take it: ${outcome.reason}`,
        );
      case "conflict": {
        const { aggregate, expectation } = outcome.event;
        return new VersionConflict(node, {
          aggregate: aggregate.slice(EVENTS_PREFIX.length, -2),
          expected: expectation?.seq || "none",
          actual: outcome.actual,
          eventIds: idsOf(unit),
        });
      }
      case "not-stored":
      case "unknown":
        return new StoreUnavailable(node, {
          reason: outcome.reason,
          outcome: outcome.kind,
          eventIds: idsOf(unit),
        });
    }
  }

  /** Fails what is left, and lets what waits fail too: it would only find out the same, one time-out after the other. */
  async #giveUp(
    group: readonly Unit[],
    settled: Settled[],
    left: readonly number[],
    reason: string,
    maybeStored: boolean,
  ): Promise<Written> {
    const { nc, node } = this.#init;
    const conditions = this.#watch.connected ? await askWhy(nc, node) : [];
    const outcome = maybeStored ? "unknown" : "not-stored";
    for (const at of left) {
      settled[at] = new StoreUnavailable(node, { reason, outcome, conditions, eventIds: idsOf(group[at]) });
    }
    return {
      settled,
      failRest: (unit) =>
        new StoreUnavailable(node, { reason, outcome: "not-stored", conditions, eventIds: idsOf(unit) }),
    };
  }

  async #unlessLost<T>(work: () => Promise<T>): Promise<T | "connection lost"> {
    const lost = Promise.withResolvers<"connection lost">();
    const stop = this.#watch.onChange((connected) => !connected && lost.resolve("connection lost"));
    try {
      return await Promise.race([work(), lost.promise]);
    } finally {
      stop();
    }
  }
}

function idsOf(unit: Unit | undefined): string[] {
  return unit?.map(({ identity }) => identity.id) ?? [];
}
