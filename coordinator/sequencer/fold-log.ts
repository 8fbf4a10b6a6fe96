import { positionOf } from "../../shared/follow/read-history.ts";
import {
  fenceRecord,
  holeRecord,
  laneRecord,
  type MarksRecord,
  marksRecord,
  type RefusedRecord,
  readRecord,
  refusedRecord,
  reignRecord,
  retiredRecord,
} from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { type LoggedEvent, loggedEvent, printOfLogged } from "../../shared/protocol/logged-event.ts";
import { formatLogPosition, type LogPosition, sameReign } from "../../shared/protocol/reign.ts";
import {
  controlRecordSubject,
  domainOf,
  fenceSubject,
  parseEventSubject,
} from "../../shared/protocol/subjects.ts";
import type { RecentCommits } from "./commits/recent-commits.ts";
import { beginLane, countEvents, type LogState, noteRefused, retireLane, takenLaneOf } from "./log-state.ts";

/** Something of the log is gone: what is behind it must not be continued. */
export class LogUnreadable extends Error {
  override readonly name = "LogUnreadable";
}

const REIGN = controlRecordSubject("reign");
const LANE = controlRecordSubject("lane");
const REFUSED = controlRecordSubject("refused");
const MARKS = controlRecordSubject("marks");
const HOLE = controlRecordSubject("hole");
const RETIRED = controlRecordSubject("retired");
const FENCES = fenceSubject("");

/** Puts what a message says into the state. */
type Take = (state: LogState) => void;

/**
 * Takes a log's messages into a state, in the stream's order, and steps over what no sequencer wrote: nats-server lets
 * whoever names a subject of the log as reply have an answer stored there (0015).
 *
 * A sequencer writes only right behind the end that it knows. So a message that does not continue the one directly before
 * it is foreign, whatever its headers say; only where something was deleted in between can the log itself be damaged.
 */
export class LogFold {
  readonly state: LogState;
  readonly #firstIndex: number | undefined;
  /** The last message that was taken. */
  #takenSeq = 0;

  /** @param firstIndex which index the first message has, where that is known: 1 in a log that was never purged */
  constructor(state: LogState, firstIndex?: number) {
    this.state = state;
    this.#firstIndex = firstIndex;
  }

  /** Whether it is a message of the log; false: it is foreign. @throws LogUnreadable */
  take(message: StoredMessage): boolean {
    const { state } = this;
    if (this.#take(message)) return true;
    // The next reign expects the newest message on its subject to be the one that was read, whoever wrote that.
    if (state.fence?.subject === message.subject) state.fence = { ...state.fence, seq: message.seq };
    return false;
  }

  #take(message: StoredMessage): boolean {
    const { state } = this;
    const gap = message.seq > state.lastSeq + 1;
    state.lastSeq = message.seq;
    const position = positionOf(message);
    if (!position) return false;
    if (!this.#continues(state.position, position, message)) {
      if (!gap || !this.#mayBelong(state.position, position, message.seq)) return false;
      const behind = state.position ? formatLogPosition(state.position) : "nothing";
      throw new LogUnreadable(
        `${formatLogPosition(position)} (message ${message.seq}) stands behind ${behind}: what was between was deleted`,
      );
    }
    const take = readMessage(message);
    if (!take) return false;
    state.position = position;
    state.sinceMarks += 1;
    take(state);
    this.#takenSeq = message.seq;
    return true;
  }

  /** As followers judge it (`continuation`), and at the place in the stream where a sequencer would have put it. */
  #continues(before: LogPosition | undefined, position: LogPosition, message: StoredMessage): boolean {
    if (!before) return position.index === (this.#firstIndex ?? position.index);
    if (position.index !== before.index + 1) return false;
    if (sameReign(position.reign, before.reign)) return message.seq === this.#takenSeq + 1;
    if (message.subject !== REIGN) return false;
    const previous = readRecord(reignRecord, message)?.previous;
    return previous != null && previous.index === before.index && sameReign(previous.reign, before.reign);
  }

  /** Within a reign, indexes and sequences grow together. */
  #mayBelong(before: LogPosition | undefined, position: LogPosition, seq: number): boolean {
    if (!before) return true;
    const further = position.index - before.index;
    return sameReign(position.reign, before.reign) ? further === seq - this.#takenSeq : further > 0;
  }
}

/** What a message says; undefined: nothing that a sequencer would have written. */
function readMessage(message: StoredMessage): Take | undefined {
  switch (message.subject) {
    case REIGN:
      return readRecord(reignRecord, message) && (() => {});
    case HOLE:
      return readRecord(holeRecord, message) && (() => {});
    case LANE: {
      const record = readRecord(laneRecord, message);
      if (!record) return undefined;
      const { node, incarnation, common: mark } = record;
      return (state) => beginLane(state, node, incarnation, mark);
    }
    case RETIRED: {
      const record = readRecord(retiredRecord, message);
      return record && ((state) => retireLane(state, record.node));
    }
    case REFUSED: {
      const record = readRecord(refusedRecord, message);
      return record && ((state) => takeRefused(state, record));
    }
    case MARKS: {
      const record = readRecord(marksRecord, message);
      return record && ((state) => restoreMarks(state, record));
    }
  }
  if (message.subject.startsWith(FENCES)) {
    const { subject, seq } = message;
    return (
      readRecord(fenceRecord, message) &&
      ((state) => {
        state.fence = { subject, seq };
      })
    );
  }
  // A kind of record that only a later version knows has its place in the log all the same.
  if (!parseEventSubject(message.subject)) return () => {};
  const logged = loggedEvent(message);
  return logged && ((state) => takeEvent(state, logged, message));
}

function takeEvent(state: LogState, logged: LoggedEvent, message: StoredMessage): void {
  const { node, incarnation, seq } = logged.origin;
  state.takenMs = Math.max(state.takenMs, Math.floor(logged.ingestedUs / 1000) || 0);
  const { subject } = message;
  if (logged.origin.lane === "c") {
    takeCommit(state.commits, logged, message);
    countEvents(state, domainOf(subject), node);
    return;
  }
  const lane = takenLaneOf(state, node);
  lane.incarnation = incarnation;
  lane.mark = { seq, print: printOfLogged(logged, subject) };
  lane.top = Math.max(lane.top, seq);
  countEvents(state, domainOf(subject), node);
}

/** What the log says of a commit that was sent again: the same as its first answer. */
export function takeCommit(
  commits: RecentCommits,
  { id, ingestedUs }: LoggedEvent,
  message: StoredMessage,
): void {
  const { seq, subject } = message;
  commits.note(id, { seq, index: positionOf(message)?.index ?? 0, subject, ms: ingestedUs / 1000 });
}

function takeRefused(state: LogState, { node, seq, print, reason }: RefusedRecord): void {
  const lane = takenLaneOf(state, node);
  lane.mark = { seq, print };
  lane.top = Math.max(lane.top, seq);
  noteRefused(lane, { seq, print, reason });
  state.refusedTotals.set(reason, (state.refusedTotals.get(reason) ?? 0) + 1);
}

function restoreMarks(state: LogState, record: MarksRecord): void {
  state.sinceMarks = 0;
  state.lanes.clear();
  for (const { node, incarnation, mark, top, refused, retired } of record.lanes)
    state.lanes.set(node, { incarnation, mark, top, refused, ...(retired && { retired }) });
  state.totals.clear();
  for (const [domain, node, count] of record.totals) countEvents(state, domain, node, count);
  state.takenMs = Math.max(state.takenMs, record.takenMs ?? 0);
  state.refusedTotals.clear();
  for (const [reason, count] of record.refusedTotals) state.refusedTotals.set(reason, count);
}

/**
 * Whether a reading may begin at this message, which says all that a start knows: a marks record that stands where a
 * sequencer puts one, right behind the message before it.
 * @param before what stands directly before it; undefined: that was purged or deleted
 */
export function isMarks(message: StoredMessage, before: StoredMessage | undefined): boolean {
  const position = positionOf(message);
  if (message.subject !== MARKS || !position || !readRecord(marksRecord, message)) return false;
  const place = before && positionOf(before);
  return !before || (place?.index === position.index - 1 && sameReign(place.reign, position.reign));
}
