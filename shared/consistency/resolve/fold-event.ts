import { isUtf8 } from "node:buffer";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { eventId } from "../../protocol/identity.ts";
import { HEADER } from "../../protocol/names.ts";
import { parseOrigin } from "../../protocol/origin.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { parseEventSubject } from "../../protocol/subjects.ts";
import { OWN_LANE, parseClock } from "../clock/clock-header.ts";
import { type LaneHistory, laneOf } from "../clock/lane-history.ts";
import { committedTime, effectiveTime, type Stamp } from "../clock/stamp.ts";
import { covers, type Dot, outboxLane, type VersionVector } from "../clock/version-vector.ts";

/** An event as resolvers take it. */
export interface FoldEvent {
  readonly id: string;
  readonly domain: string;
  readonly aggregate: string;
  readonly type: string;
  readonly dot: Dot;
  readonly stamp: Stamp;
  /** The log's. Events that are not in the log yet come behind all of it: `PROVISIONAL` and the outbox's sequence. */
  readonly index: number;
  /** When the sequencer took it, ms; of one that is not in the log yet when the outbox did. */
  readonly ingestMs: number;
  /** What its writer had seen of the aggregate, over all incarnations. */
  readonly seen: VersionVector;
  /** Its writer did not say what it had seen: all that is certain is its own lane. */
  readonly clockless: boolean;
  /** A strong commit: the log decided that it comes after all that is before it there, so it counts as having seen that. */
  readonly committed?: boolean;
  /** Nodes that had been gone for good before it: all that they ever wrote counts as seen. */
  readonly retired: ReadonlySet<string>;
  /** The body, from JSON; undefined: it was empty, and the event changes nothing. */
  readonly data: unknown;
}

/** An event that can't be folded: it is set aside, and the rest goes on. */
export interface Poison {
  readonly poison: string;
}

export const PROVISIONAL = 2 ** 51;

export const isPoison = (event: FoldEvent | Poison): event is Poison => "poison" in event;

/** Whether an event's writer had seen one before it in the log, as far as anybody knows. */
export function saw(event: Pick<FoldEvent, "seen" | "retired" | "committed">, dot: Dot): boolean {
  if (event.committed || covers(event.seen, dot)) return true;
  return event.retired.size > 0 && event.retired.has(dot.lane.slice(0, dot.lane.indexOf("/")));
}

/**
 * Reads an event from a message of the log or a copy.
 * @param lanes of all records of lanes and retirements that stand before it in the log
 * @returns undefined: none of an aggregate, as control records and events whose subject names none
 */
export function foldEvent(message: StoredMessage, lanes: LaneHistory): FoldEvent | Poison | undefined {
  const { subject, headerText } = message;
  const origin = parseOrigin(headerValue(headerText, HEADER.origin));
  const position = parseLogPosition(headerValue(headerText, HEADER.log));
  const [appendedUs, ingestedUs] = (headerValue(headerText, HEADER.time) ?? "").split(" ").map(Number);
  if (!origin || !position || appendedUs === undefined || !Number.isFinite(ingestedUs)) return undefined;
  return build(message, lanes, {
    id: headerValue(headerText, HEADER.id) ?? "",
    owner: origin,
    lane: laneOf(origin),
    seq: origin.seq,
    index: position.index,
    appendedMs: Math.floor(appendedUs / 1000),
    ingestMs: Math.floor((ingestedUs as number) / 1000),
    subject,
  });
}

/**
 * The same of a message of the node's own outbox that is not in the log yet. What it comes to is provisional: its time is
 * bounded, and others are before it, only once it is in the log.
 * @param incarnation of the outbox, if known: without it the node's own events in the log count as not seen
 */
export function foldOwnEvent(
  message: StoredMessage,
  { node, incarnation, lanes }: { node: string; incarnation?: number | undefined; lanes: LaneHistory },
): FoldEvent | Poison | undefined {
  const ms = Math.floor(message.timeUs / 1000);
  return build(message, lanes, {
    id: eventId({ node, seq: message.seq }, message.timeUs, message.headerText, message.body),
    owner: { node, incarnation: incarnation ?? 0, lane: "e" },
    lane: incarnation === undefined ? OWN_LANE : outboxLane(node, incarnation),
    seq: message.seq,
    index: PROVISIONAL + message.seq,
    appendedMs: ms,
    ingestMs: ms,
    subject: message.subject,
  });
}

interface Facts {
  readonly id: string;
  readonly owner: { readonly node: string; readonly incarnation: number; readonly lane: string };
  readonly lane: string;
  readonly seq: number;
  readonly index: number;
  readonly appendedMs: number;
  readonly ingestMs: number;
  readonly subject: string;
}

function build(message: StoredMessage, lanes: LaneHistory, facts: Facts): FoldEvent | Poison | undefined {
  const address = parseEventSubject(facts.subject);
  if (address?.aggregate === undefined) return undefined;
  const data = parseBody(message.body);
  if ("poison" in data) return data;
  const { lane, seq, index, ingestMs } = facts;
  const clock = parseClock(headerValue(message.headerText, HEADER.clock));
  const time = clock?.time ?? { ms: Math.max(0, facts.appendedMs), counter: 0 };
  const committed = facts.owner.lane !== "e";
  const { ms, order } = committed
    ? committedTime(ingestMs, index)
    : index >= PROVISIONAL
      ? { ms: time.ms, order: time.counter }
      : effectiveTime(time, ingestMs, index);
  const written = clock?.seen ?? new Map([[lane, seq - 1]]);
  return {
    id: facts.id,
    domain: address.domain,
    aggregate: address.aggregate,
    type: address.type,
    dot: { lane, seq },
    stamp: { ms, order, lane, seq },
    index,
    ingestMs,
    seen: lane === OWN_LANE ? written : lanes.normalise(written, facts.owner),
    clockless: !committed && clock?.seen === undefined,
    ...(committed && { committed }),
    retired: lanes.retiredAt(index),
    data: data.value,
  };
}

/** Deeper ones are poison: what walks through a value calls itself for each level. */
export const MAX_DEPTH = 200;

function parseBody(body: Uint8Array): { readonly value: unknown } | Poison {
  if (body.byteLength === 0) return { value: undefined };
  if (!isUtf8(body)) return { poison: "the body is not UTF-8" };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    return { poison: "the body is not JSON" };
  }
  // Each level takes two bytes, so that hardly any event has to be walked through for this.
  if (body.byteLength > 2 * MAX_DEPTH && isDeeper(value, MAX_DEPTH))
    return { poison: `the body is nested deeper than ${MAX_DEPTH} levels` };
  return { value };
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const inner of Object.values(value)) if (isDeeper(inner, levels - 1)) return true;
  return false;
}
