import {
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
} from "@nats-io/transport-node";
import { MAX_BATCH_MESSAGES, type WriteResult, writeAtomically, writeOne } from "../nats/batch-publisher.ts";
import type { EncodedEvent } from "./event-to-append.ts";

/** Events that one caller appended with one call: stored in order, several all or not at all. */
export type Unit = readonly EncodedEvent[];

export interface Stored {
  readonly seq: number;
  readonly duplicate?: true;
}

export type UnitOutcome =
  | { readonly kind: "stored"; readonly events: readonly Stored[] }
  | { readonly kind: "full"; readonly reason: string }
  | { readonly kind: "rejected"; readonly reason: string }
  /** `again`: nobody took it, as while a server starts; the same a moment later may work. */
  | { readonly kind: "not-stored"; readonly reason: string; readonly again: boolean }
  | { readonly kind: "unknown"; readonly reason: string };

/** Up to so many single events go as plain publishes: an atomic batch costs a folder and a sync of its own. */
const MAX_PLAIN = 8;

/** JetStream error codes (nats-server's errors.json). */
const STORE_FAILED = 10077;
const NO_RESOURCES: ReadonlySet<number> = new Set([10023, 10028, 10047]);
const TOO_LARGE = 10054;
const CONTAINS_DUPLICATE = 10201;

/**
 * Writes units to the outbox in their order, with as few syncs as it can, and says of each what became of it. An atomic
 * batch fails whole, so when one does, each unit is written by itself: none suffers for another's repeated id.
 */
export async function writeUnits(
  nc: NatsConnection,
  units: readonly Unit[],
  timeoutMs: number,
): Promise<UnitOutcome[]> {
  const events = units.flat();
  if (units.length === events.length && events.length <= MAX_PLAIN)
    return await writePlain(nc, events, timeoutMs);
  if (events.length > MAX_BATCH_MESSAGES) throw new RangeError(`${events.length} events in one group`);
  const [first] = units;
  if (units.length === 1 && first) return [await writeUnit(nc, first, timeoutMs)];
  const result = await writeBatch(nc, events, timeoutMs);
  if (result.kind === "stored") {
    let seq = result.lastSeq - events.length;
    return units.map((unit) => ({ kind: "stored", events: unit.map(() => ({ seq: ++seq })) }));
  }
  const outcome = outcomeOf(result);
  if (outcome.kind === "unknown" || outcome.kind === "full") return units.map(() => outcome);
  if (outcome.kind === "not-stored" && outcome.again) return units.map(() => outcome);
  return await writeEach(nc, units, timeoutMs);
}

async function writeEach(
  nc: NatsConnection,
  units: readonly Unit[],
  timeoutMs: number,
): Promise<UnitOutcome[]> {
  const outcomes: UnitOutcome[] = [];
  for (let at = 0; at < units.length; ) {
    const unit = units[at] as Unit;
    if (unit.length > 1) {
      outcomes.push(await writeUnit(nc, unit, timeoutMs));
      at++;
      continue;
    }
    let end = at;
    while (units[end]?.length === 1) end++;
    outcomes.push(...(await writePlain(nc, units.slice(at, end).flat(), timeoutMs)));
    at = end;
  }
  return outcomes;
}

async function writeUnit(nc: NatsConnection, unit: Unit, timeoutMs: number): Promise<UnitOutcome> {
  if (unit.length === 1) return (await writePlain(nc, unit, timeoutMs))[0] as UnitOutcome;
  const result = await writeBatch(nc, unit, timeoutMs);
  if (result.kind === "stored") {
    const before = result.lastSeq - unit.length;
    return { kind: "stored", events: unit.map((_, at) => ({ seq: before + 1 + at })) };
  }
  if (result.kind !== "refused" || result.errCode !== CONTAINS_DUPLICATE) return outcomeOf(result);
  // Appended before, all of it or an event with one of its ids.
  const outcomes = await writePlain(nc, unit, timeoutMs);
  const failed = outcomes.find(({ kind }) => kind !== "stored");
  if (failed && failed.kind !== "stored") {
    const some = outcomes.some(({ kind }) => kind === "stored");
    return some ? { kind: "unknown", reason: `a part was stored: ${failed.reason}` } : failed;
  }
  return { kind: "stored", events: outcomes.flatMap((one) => (one.kind === "stored" ? one.events : [])) };
}

/** Pipelined; the server stores a connection's messages in the order they were sent. */
async function writePlain(nc: NatsConnection, events: Unit, timeoutMs: number): Promise<UnitOutcome[]> {
  const results = await Promise.all(events.map(({ message }) => writeOne(nc, message, timeoutMs)));
  return results.map(outcomeOf);
}

function writeBatch(nc: NatsConnection, events: Unit, timeoutMs: number): Promise<WriteResult> {
  const messages = events.map(({ message }) => message);
  return writeAtomically(nc, messages, timeoutMs);
}

/** Reads the server's answer about one message, or one batch. Pure. */
export function outcomeOf(result: WriteResult): UnitOutcome {
  switch (result.kind) {
    case "stored":
      return {
        kind: "stored",
        events: [{ seq: result.lastSeq, ...(result.duplicate && { duplicate: true }) }],
      };
    case "refused": {
      const { errCode, reason } = result;
      // 10077 carries whatever the store said: a limit, in Go's words, or trouble with the disk.
      if (NO_RESOURCES.has(errCode) || (errCode === STORE_FAILED && /^maximum /.test(reason)))
        return { kind: "full", reason };
      if (errCode === TOO_LARGE) return { kind: "rejected", reason };
      return { kind: "not-stored", reason: `${reason} (${errCode})`, again: false };
    }
    case "unknown": {
      const cause = result.cause instanceof RequestError ? result.cause.cause : result.cause;
      if (cause instanceof NoRespondersError) {
        return { kind: "not-stored", reason: "no stream takes events there", again: true };
      }
      if (cause instanceof PermissionViolationError) return { kind: "rejected", reason: cause.message };
      return { kind: "unknown", reason: result.reason };
    }
  }
}
