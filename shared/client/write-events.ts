import type { NatsConnection } from "@nats-io/transport-node";
import {
  MAX_BATCH_MESSAGES,
  type OutgoingMessage,
  type WriteResult,
  writeAtomically,
  writeOne,
} from "../nats/batch-publisher.ts";
import { getMessage } from "../nats/get-message.ts";
import { errorText } from "../protocol/error-text.ts";
import { headerLine, headerValue } from "../protocol/headers.ts";
import { HEADER, STREAM } from "../protocol/names.ts";
import type { EncodedEvent } from "./event-to-append.ts";
import { expectationLines, firstInOutbox, VersionReader } from "./expectation.ts";
import { TrimmedHistory } from "./trimmed-history.ts";
import {
  CONTAINS_DUPLICATE,
  isForItsPlace,
  outcomeOf,
  type Stored,
  type UnitOutcome,
  unsentAfter,
  WRONG_VERSION,
} from "./write-outcome.ts";

/** Events that one caller appended with one call: stored in order, several all or not at all. */
export type Unit = readonly EncodedEvent[];

/** Where units are written. */
export interface Place {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly timeoutMs: number;
}

interface Outbox extends Place {
  readonly history: TrimmedHistory;
}

/** Up to so many single events go as plain publishes: an atomic batch costs a folder and a sync of its own. */
const MAX_PLAIN = 8;
/** More of them, where a batch can't be: each waits for the server's sync of the one before it anyway. */
const MAX_CHAINED = 64;

/**
 * Writes units to the outbox in their order, with as few syncs as it can, and says of each what became of it. An atomic
 * batch fails whole, so when one does, none suffers for another's repeated id or expectation: units whose expectation does
 * not hold are left out, and then each is written by itself. Of those that expect something of one aggregate only the first
 * is sent: the server compares exact subjects inside a batch, and would let all pass.
 */
export async function writeUnits(place: Place, units: readonly Unit[]): Promise<UnitOutcome[]> {
  const outbox = { ...place, history: new TrimmedHistory(place) };
  const late = overtaken(units);
  if (late.size === 0) return await writeSent(outbox, units);
  const outcomes = new Map<Unit, UnitOutcome>();
  const note = (some: readonly Unit[], theirs: readonly UnitOutcome[]) => {
    for (const [at, unit] of some.entries()) outcomes.set(unit, theirs[at] as UnitOutcome);
  };
  const sent = units.filter((unit) => !late.has(unit));
  note(sent, await writeSent(outbox, sent));
  const waiting = [...late];
  if ([...outcomes.values()].some(({ kind }) => kind === "unknown" || kind === "not-stored")) {
    note(
      waiting,
      waiting.map(() => VERSION_CHANGED),
    );
  } else {
    const versions = versionsOf(outbox);
    const judged = await Promise.all(waiting.map((unit) => judgeRefused(outbox, unit, versions)));
    note(waiting, judged);
    // Those before them were not stored.
    const again = waiting.filter((_, at) => judged[at] === VERSION_CHANGED);
    if (again.length > 0) note(again, await writeUnits(place, again));
  }
  return units.map((unit) => outcomes.get(unit) as UnitOutcome);
}

/** Writes units of which no two expect something of one aggregate. */
async function writeSent(outbox: Outbox, units: readonly Unit[]): Promise<UnitOutcome[]> {
  const needJudging = units.some(expectsNone) && (await firstInOutbox(outbox.nc, outbox.timeoutMs)) > 1;
  return needJudging ? await writeJudged(outbox, units, expectsNone) : await writeGroup(outbox, units);
}

/** Read again it holds: the next attempt may store it. */
const VERSION_CHANGED: UnitOutcome = {
  kind: "not-stored",
  reason: "the version changed while it was read",
  again: true,
};

/** The outbox alone can't tell that an aggregate never had an event, once it was trimmed. */
const expectsNone = (unit: Unit) => unit.some(({ expectation }) => expectation?.seq === 0);
const expects = (unit: Unit) => unit.some(({ expectation }) => expectation !== undefined);

async function writeGroup(outbox: Outbox, units: readonly Unit[]): Promise<UnitOutcome[]> {
  const events = units.flat();
  if (units.length === events.length && events.length <= MAX_PLAIN) return await writePlain(outbox, events);
  if (events.length > MAX_BATCH_MESSAGES) throw new RangeError(`${events.length} events in one group`);
  const [first] = units;
  if (units.length === 1 && first) return [await writeUnit(outbox, first)];
  const result = await writeBatch(outbox, events);
  if (result.kind === "stored") {
    const seqs = seqsOf(result.lastSeq, events.length);
    return units.map((unit) => ({ kind: "stored", events: seqs.splice(0, unit.length) }));
  }
  if (result.kind === "refused" && WRONG_VERSION.has(result.errCode))
    return await writeJudged(outbox, units, expects);
  const outcome = outcomeOf(result);
  if (outcome.kind === "unknown" || outcome.kind === "full") return units.map(() => outcome);
  if (outcome.kind === "not-stored" && outcome.again) return units.map(() => outcome);
  return await writeEach(outbox, units);
}

/** Reads the expectations of some units, and writes the group without those that do not hold. */
async function writeJudged(
  outbox: Outbox,
  units: readonly Unit[],
  which: (unit: Unit) => boolean,
): Promise<UnitOutcome[]> {
  const judged = await Promise.all(
    units.map((unit) => (which(unit) ? judgeUnit(outbox, unit) : Promise.resolve(undefined))),
  );
  const left = units.filter((_, at) => judged[at] === undefined);
  if (left.length === 0) return judged as UnitOutcome[];
  const all = left.length === units.length && which === expects;
  const written = all ? await writeEach(outbox, left) : await writeGroup(outbox, left);
  let next = 0;
  return judged.map((outcome) => outcome ?? (written[next++] as UnitOutcome));
}

function versionsOf({ nc, timeoutMs, history }: Outbox): VersionReader {
  return new VersionReader(nc, timeoutMs, history);
}

/** Undefined: its expectations hold, and it may be written. */
async function judgeUnit(
  outbox: Outbox,
  unit: Unit,
  versions: VersionReader = versionsOf(outbox),
): Promise<UnitOutcome | undefined> {
  for (const [at, event] of unit.entries()) {
    const judgement = await versions.judge(event);
    if (judgement.kind === "conflict") return { kind: "conflict", event, actual: judgement.actual };
    if (judgement.kind === "stored") return await storedBefore(outbox, unit, judgement.seq - at);
  }
  return undefined;
}

/** Why a unit was not stored because of what it expects. What can't be read does not change what others were told. */
async function judgeRefused(outbox: Outbox, unit: Unit, versions?: VersionReader): Promise<UnitOutcome> {
  try {
    return (await judgeUnit(outbox, unit, versions)) ?? VERSION_CHANGED;
  } catch (error) {
    const reason = `its version can't be read: ${errorText(error)}`;
    return { kind: "not-stored", reason, again: true };
  }
}

/** An earlier attempt has stored one of the unit, hence all of it, next to each other. */
async function storedBefore({ nc, timeoutMs }: Outbox, unit: Unit, firstSeq: number): Promise<UnitOutcome> {
  const kept = await Promise.all(
    unit.map((_, at) => getMessage(nc, STREAM.outbox, { seq: firstSeq + at }, { timeoutMs })),
  );
  const isWhole = unit.every(
    ({ identity }, at) => headerValue(kept[at]?.headerText ?? "", HEADER.msgId) === identity.id,
  );
  if (!isWhole) return { kind: "unknown", reason: "a part of it is stored elsewhere" };
  return { kind: "stored", events: unit.map((_, at) => ({ seq: firstSeq + at, duplicate: true })) };
}

/** Ends at the first that the store did not take, or did not answer. */
async function writeEach(outbox: Outbox, units: readonly Unit[]): Promise<UnitOutcome[]> {
  const outcomes: UnitOutcome[] = [];
  for (let at = 0; at < units.length; ) {
    const unit = units[at] as Unit;
    let end = at + 1;
    if (unit.length === 1) while (units[end]?.length === 1) end++;
    const written =
      unit.length === 1
        ? await writePlain(outbox, units.slice(at, end).flat())
        : [await writeUnit(outbox, unit)];
    outcomes.push(...written);
    at = end;
    const unsent = unsentAfter(written);
    if (unsent) return [...outcomes, ...units.slice(at).map(() => unsent)];
  }
  return outcomes;
}

async function writeUnit(outbox: Outbox, unit: Unit): Promise<UnitOutcome> {
  if (unit.length === 1) return (await writePlain(outbox, unit))[0] as UnitOutcome;
  const result = await writeBatch(outbox, unit);
  if (result.kind === "stored") return { kind: "stored", events: seqsOf(result.lastSeq, unit.length) };
  if (result.kind === "refused" && WRONG_VERSION.has(result.errCode)) {
    return await judgeRefused(outbox, unit);
  }
  if (result.kind !== "refused" || result.errCode !== CONTAINS_DUPLICATE) return outcomeOf(result);
  // Appended before, all of it or an event with one of its ids.
  const outcomes = await writePlain(outbox, unit);
  const failed = outcomes.find(({ kind }) => kind !== "stored");
  if (failed && failed.kind !== "stored") {
    const some = outcomes.some(({ kind }) => kind === "stored");
    const reason = "reason" in failed ? failed.reason : "an aggregate is at another version";
    return some ? { kind: "unknown", reason: `a part was stored: ${reason}` } : failed;
  }
  return { kind: "stored", events: outcomes.flatMap((one) => (one.kind === "stored" ? one.events : [])) };
}

/**
 * Pipelined, each behind the one before it by that one's id: what nobody took, as while a server starts, is not overtaken
 * by what was sent after it. The server looks at a repeated id and at an expected version first, so those tell themselves.
 * Where another writer came in between, the rest goes as a batch; where that can't be, it is chained anew, and gets on by
 * one at least each time.
 */
async function writePlain(outbox: Outbox, events: Unit): Promise<UnitOutcome[]> {
  const { nc, timeoutMs } = outbox;
  const outcomes: UnitOutcome[] = [];
  let tryBatch = true;
  while (outcomes.length < events.length) {
    const sent = events.slice(outcomes.length, outcomes.length + MAX_CHAINED);
    const results = await Promise.all(
      sent.map((event, at) => writeOne(nc, messageOf(event, sent[at - 1]), timeoutMs)),
    );
    const brokenAt = results.findIndex((result, at) => at > 0 && isForItsPlace(result));
    const answered = results.slice(0, brokenAt < 0 ? sent.length : brokenAt);
    outcomes.push(
      ...(await Promise.all(
        answered.map((result, at) =>
          result.kind === "refused" && WRONG_VERSION.has(result.errCode)
            ? judgeRefused(outbox, [sent[at] as EncodedEvent])
            : outcomeOf(result),
        ),
      )),
    );
    const rest = events.slice(outcomes.length);
    const unsent = unsentAfter(outcomes);
    if (unsent) return [...outcomes, ...rest.map(() => unsent)];
    if (brokenAt < 0 || rest.length < 2 || !tryBatch) continue;
    const result = await writeBatch(outbox, rest);
    if (result.kind === "stored") return [...outcomes, ...seqsOf(result.lastSeq, rest.length).map(storedAt)];
    if (result.kind === "unknown") return [...outcomes, ...rest.map(() => outcomeOf(result))];
    tryBatch = false;
  }
  return outcomes;
}

function writeBatch({ nc, timeoutMs }: Outbox, events: Unit): Promise<WriteResult> {
  return writeAtomically(
    nc,
    events.map((event) => messageOf(event)),
    timeoutMs,
  );
}

/** What a batch has stored, of which the server tells the last sequence alone. */
function seqsOf(lastSeq: number, count: number): Stored[] {
  return Array.from({ length: count }, (_, at) => ({ seq: lastSeq - count + 1 + at }));
}

function storedAt(event: Stored): UnitOutcome {
  return { kind: "stored", events: [event] };
}

function messageOf(event: EncodedEvent, before?: EncodedEvent): OutgoingMessage {
  const { message } = event;
  const lines =
    expectationLines(event) + (before ? headerLine("Nats-Expected-Last-Msg-Id", before.identity.id) : "");
  return lines === "" ? message : { ...message, headerText: lines + message.headerText };
}

/**
 * Those that expect something of an aggregate that an earlier one of the group writes. A version that a caller can name is
 * older than the group, so once the earlier one is stored, theirs is not the newest. Pure.
 */
export function overtaken(units: readonly Unit[]): ReadonlySet<Unit> {
  const late = new Set<Unit>();
  if (!units.some(expects)) return late;
  const written = new Set<string>();
  for (const unit of units) {
    if (unit.some(({ aggregate, expectation }) => expectation !== undefined && written.has(aggregate)))
      late.add(unit);
    else for (const { aggregate } of unit) written.add(aggregate);
  }
  return late;
}
