import { MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import {
  holeRecord,
  laneRecord,
  type MarksRecord,
  marksRecord,
  refusedRecord,
} from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { loggedEvent, printOfLogged } from "../../shared/protocol/logged-event.ts";
import type { Refusal } from "../../shared/protocol/messages.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { type LaneMark, NOTHING_YET } from "../../shared/protocol/origin.ts";
import { type LogPosition, parseLogPosition, type Reign } from "../../shared/protocol/reign.ts";
import { controlRecordSubject, domainOf, fenceSubject } from "../../shared/protocol/subjects.ts";

/** The newest message that opened or closed a reign's fence. */
export interface Fence {
  readonly subject: string;
  readonly seq: number;
}

/** What the log says of one origin. */
export interface LaneState {
  incarnation: number;
  mark: LaneMark;
  /** Highest sequence that the log has of any incarnation: above it nothing can be known already. */
  top: number;
  /** Refused events that the origin may still have to set aside. */
  refused: Refusal[];
}

/**
 * All that a sequencer knows, and all of it is in the log: the fold of its messages in order. A checkpoint (marks
 * record) is itself a message of the log and only shortens the reading.
 */
export interface LogState {
  /** Last message's position; undefined: the log is empty. */
  position: LogPosition | undefined;
  /** The stream's last sequence. */
  lastSeq: number;
  /** The newest fence; undefined: there never was a reign. */
  fence: Fence | undefined;
  readonly lanes: Map<string, LaneState>;
  /** Events taken, by domain, then origin. */
  readonly totals: Map<string, Map<string, number>>;
  readonly refusedTotals: Map<string, number>;
  /** Messages since the newest marks record. */
  sinceMarks: number;
}

/** The log holds something that no sequencer writes: it must not be continued. */
export class LogUnreadable extends Error {
  override readonly name = "LogUnreadable";
}

const REIGN = controlRecordSubject("reign");
const LANE = controlRecordSubject("lane");
const REFUSED = controlRecordSubject("refused");
const MARKS = controlRecordSubject("marks");
const HOLE = controlRecordSubject("hole");
const FENCES = fenceSubject("");

/** A publisher may invent domains without end, but neither the marks record nor a scrape may grow so. */
const MOST_DOMAINS = 1000;
const OTHER_DOMAINS = "_other";

export function emptyLogState(): LogState {
  return {
    position: undefined,
    lastSeq: 0,
    fence: undefined,
    lanes: new Map(),
    totals: new Map(),
    refusedTotals: new Map(),
    sinceMarks: 0,
  };
}

/** A node that the log does not know has an empty lane, which is not part of the state: marks would say it is known. */
export function laneOf(state: LogState, node: string): LaneState {
  return state.lanes.get(node) ?? { incarnation: 0, mark: NOTHING_YET, top: 0, refused: [] };
}

/** The place of the next message, and counts it. */
export function nextPosition(state: LogState, reign: Reign): LogPosition {
  state.position = { reign, index: (state.position?.index ?? 0) + 1 };
  state.sinceMarks += 1;
  return state.position;
}

/** An origin ships no more while it sets refused events aside, so no more than two blocks of them can be open. */
const MAX_REFUSED = 2 * MAX_BLOCK_EVENTS;

/** Remembers a refusal for its origin, in case the answer gets lost. */
export function noteRefused(lane: LaneState, refusal: Refusal): void {
  lane.refused.push(refusal);
  if (lane.refused.length > MAX_REFUSED) lane.refused = lane.refused.slice(-MAX_REFUSED);
}

function takenLaneOf(state: LogState, node: string): LaneState {
  const lane = laneOf(state, node);
  state.lanes.set(node, lane);
  return lane;
}

export function countEvents(state: LogState, domain: string, node: string, count = 1): void {
  const counted = state.totals.has(domain) || state.totals.size < MOST_DOMAINS ? domain : OTHER_DOMAINS;
  let byNode = state.totals.get(counted);
  if (!byNode) {
    byNode = new Map();
    state.totals.set(counted, byNode);
  }
  byNode.set(node, (byNode.get(node) ?? 0) + count);
}

/** Takes one message of the log into the state. @throws LogUnreadable */
export function foldLogMessage(state: LogState, message: StoredMessage): void {
  const position = parseLogPosition(headerValue(message.headerText, HEADER.log));
  if (!position) throw new LogUnreadable(`message ${message.seq} of the log has no ${HEADER.log}`);
  if (state.position && position.index !== state.position.index + 1) {
    throw new LogUnreadable(
      `message ${message.seq} has index ${position.index} after ${state.position.index}`,
    );
  }
  state.position = position;
  state.lastSeq = message.seq;
  state.sinceMarks += 1;
  switch (message.subject) {
    case REIGN:
      return;
    case LANE: {
      const record = laneRecord.parse(readJson(message));
      const before = laneOf(state, record.node);
      state.lanes.set(record.node, { ...before, incarnation: record.incarnation, mark: record.common });
      return;
    }
    case REFUSED: {
      const record = refusedRecord.parse(readJson(message));
      const lane = takenLaneOf(state, record.node);
      lane.mark = { seq: record.seq, print: record.print };
      lane.top = Math.max(lane.top, record.seq);
      noteRefused(lane, { seq: record.seq, print: record.print, reason: record.reason });
      state.refusedTotals.set(record.reason, (state.refusedTotals.get(record.reason) ?? 0) + 1);
      return;
    }
    case MARKS:
      restoreMarks(state, marksRecord.parse(readJson(message)));
      return;
    case HOLE:
      holeRecord.parse(readJson(message));
      return;
    default:
      if (message.subject.startsWith(FENCES)) state.fence = { subject: message.subject, seq: message.seq };
      else foldEvent(state, message);
  }
}

function foldEvent(state: LogState, message: StoredMessage): void {
  const logged = loggedEvent(message);
  if (!logged) throw new LogUnreadable(`message ${message.seq} of the log has no ${HEADER.origin}`);
  const { origin } = logged;
  const lane = takenLaneOf(state, origin.node);
  lane.incarnation = origin.incarnation;
  lane.mark = { seq: origin.seq, print: printOfLogged(logged, message.subject) };
  lane.top = Math.max(lane.top, origin.seq);
  countEvents(state, domainOf(message.subject), origin.node);
}

/** The marks record of a state, for the log. */
export function marksOf(state: LogState): MarksRecord {
  return {
    lanes: [...state.lanes].map(([node, lane]) => ({ node, ...lane, refused: [...lane.refused] })),
    totals: [...state.totals].flatMap(([domain, byNode]) =>
      [...byNode].map(([node, count]): [string, string, number] => [domain, node, count]),
    ),
    refusedTotals: [...state.refusedTotals],
  };
}

function restoreMarks(state: LogState, record: MarksRecord): void {
  state.sinceMarks = 0;
  state.lanes.clear();
  for (const { node, incarnation, mark, top, refused } of record.lanes)
    state.lanes.set(node, { incarnation, mark, top, refused });
  state.totals.clear();
  for (const [domain, node, count] of record.totals) countEvents(state, domain, node, count);
  state.refusedTotals.clear();
  for (const [reason, count] of record.refusedTotals) state.refusedTotals.set(reason, count);
}

function readJson(message: StoredMessage): unknown {
  try {
    return JSON.parse(Buffer.from(message.body).toString("utf8"));
  } catch (cause) {
    throw new LogUnreadable(`control record ${message.seq} of the log is not JSON`, { cause });
  }
}
