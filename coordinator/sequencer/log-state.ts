import { MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import { type MarksRecord, OTHER_DOMAINS } from "../../shared/protocol/control-records.ts";
import type { Refusal } from "../../shared/protocol/messages.ts";
import { type LaneMark, NOTHING_YET } from "../../shared/protocol/origin.ts";
import type { LogPosition, Reign } from "../../shared/protocol/reign.ts";
import { RecentCommits } from "./commits/recent-commits.ts";

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
  /** The node is gone for good: of it nothing is taken before it begins anew. */
  retired?: boolean;
}

/**
 * All that a sequencer knows, and all of it is in the log: the fold of its messages in order. A checkpoint (marks
 * record) is itself a message of the log and only shortens the reading.
 */
export interface LogState {
  /** Last message's position; undefined: the log is empty. */
  position: LogPosition | undefined;
  /** The stream's last sequence, also where what stands there is no sequencer's. */
  lastSeq: number;
  /** The newest fence; undefined: there never was a reign. */
  fence: Fence | undefined;
  readonly lanes: Map<string, LaneState>;
  /** Events taken, by domain, then origin. */
  readonly totals: Map<string, Map<string, number>>;
  readonly refusedTotals: Map<string, number>;
  /** When the newest event was taken, ms since the epoch. */
  takenMs: number;
  /** The newest commits to strong domains. The marks record does not have them: a start reads further back for them. */
  readonly commits: RecentCommits;
  /** Messages since the newest marks record. */
  sinceMarks: number;
}

/** A publisher may invent domains without end, but neither the marks record nor a scrape may grow so. */
const MOST_DOMAINS = 1000;

export function emptyLogState(): LogState {
  return {
    position: undefined,
    lastSeq: 0,
    fence: undefined,
    lanes: new Map(),
    totals: new Map(),
    refusedTotals: new Map(),
    takenMs: 0,
    commits: new RecentCommits(),
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

/**
 * When the next event counts as taken, which is never before the one that stands before it: by these times strong commits
 * and events with clocks that are ahead are ordered, and the hub's own clock may be set back.
 */
export function nextTakenMs(state: LogState, nowMs: number): number {
  state.takenMs = Math.max(state.takenMs, nowMs);
  return state.takenMs;
}

/** An origin ships no more while it sets refused events aside, so no more than two blocks of them can be open. */
const MAX_REFUSED = 2 * MAX_BLOCK_EVENTS;

/** Remembers a refusal for its origin, in case the answer gets lost. */
export function noteRefused(lane: LaneState, refusal: Refusal): void {
  lane.refused.push(refusal);
  if (lane.refused.length > MAX_REFUSED) lane.refused = lane.refused.slice(-MAX_REFUSED);
}

/** The lane of a node that the log knows from now on. */
export function takenLaneOf(state: LogState, node: string): LaneState {
  const lane = laneOf(state, node);
  state.lanes.set(node, lane);
  return lane;
}

/** A node's new incarnation, from that event on. It is not gone then, whatever was said before. */
export function beginLane(state: LogState, node: string, incarnation: number, mark: LaneMark): void {
  const { top, refused } = laneOf(state, node);
  state.lanes.set(node, { incarnation, mark, top, refused });
}

/** Marks name known nodes only, so another's retirement changes nothing. */
export function retireLane(state: LogState, node: string): void {
  const lane = state.lanes.get(node);
  if (lane) lane.retired = true;
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

/** The marks record of a state, for the log. */
export function marksOf(state: LogState): MarksRecord {
  return {
    lanes: [...state.lanes].map(([node, lane]) => ({ node, ...lane, refused: [...lane.refused] })),
    totals: [...state.totals].flatMap(([domain, byNode]) =>
      [...byNode].map(([node, count]): [string, string, number] => [domain, node, count]),
    ),
    refusedTotals: [...state.refusedTotals],
    takenMs: state.takenMs,
  };
}
