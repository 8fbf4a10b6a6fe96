import { blockOf, type PlaceRange } from "../../consistency/proof/block-sums.ts";
import type { ListedEvent } from "../../consistency/proof/compare.ts";
import { contentHash, shippedContentHash } from "../../consistency/proof/content-hash.ts";
import { loggedPlace } from "../../consistency/proof/logged-place.ts";
import { PlaceHash } from "../../consistency/proof/place-hash.ts";
import { NOTHING, plus, type Sum, sumText } from "../../consistency/proof/sum.ts";
import type { StoredMessage } from "../../protocol/event.ts";
import { headerValue } from "../../protocol/headers.ts";
import { eventId } from "../../protocol/identity.ts";
import { HEADER } from "../../protocol/names.ts";
import type { Look } from "../../protocol/proof-messages.ts";
import type { IsWanted } from "./read-blocks.ts";
import type { StoredMessages } from "./stored-messages.ts";
import { laneName, type StreamLedger } from "./stream-ledger.ts";

/** What a stream holds within a range of places, each with its hash. */
export interface StoredEvent extends ListedEvent {
  readonly high: number;
  readonly low: number;
}

export type StoredEvents = AsyncGenerator<StoredEvent>;

const hasher = new PlaceHash();

function storedEvent(
  { place, id, domain }: Pick<ListedEvent, "place" | "id" | "domain">,
  content: { readonly high: number; readonly low: number } | undefined,
): StoredEvent {
  const { high, low } = hasher.of(id, place);
  if (!content) return { place, id, domain, content: "", high, low };
  const text = sumText({ count: 1, ...content });
  return { place, id, domain, content: text, high: (high + content.high) | 0, low: (low + content.low) | 0 };
}

/** Of the log or a copy, by log index. */
export async function* inStream(
  ledger: StreamLedger,
  messages: StoredMessages,
  range: PlaceRange,
  isWanted: IsWanted,
  look: Exclude<Look, "counted">,
): StoredEvents {
  for (const span of ledger.spansOf(range, isWanted)) {
    for await (const part of messages.read(span, look === "content" ? "disk" : "headers")) {
      for (const message of part) {
        const found = loggedPlace(message.subject, message.headerText);
        if (!found || found.index < range.from || found.index > range.to || !isWanted(found.domain)) continue;
        const { index: place, id, domain } = found;
        yield storedEvent({ place, id, domain }, look === "content" ? contentHash(message) : undefined);
      }
    }
  }
}

/** Of an outbox, by its own sequences. */
export async function* inOutbox(
  node: string,
  messages: StoredMessages,
  range: PlaceRange,
  except: ReadonlySet<number>,
  look: Exclude<Look, "counted">,
): StoredEvents {
  const span = { first: range.from, last: range.to };
  // An event without an id has one that is made of its body.
  for await (const part of messages.read(span, look === "content" ? "disk" : "server")) {
    for (const message of part) {
      const { seq: place, timeUs, headerText, body } = message;
      if (except.has(place)) continue;
      const id = eventId({ node, seq: place }, timeUs, headerText, body);
      yield storedEvent(
        { place, id, domain: "" },
        look === "content" ? shippedContent(message, timeUs) : undefined,
      );
    }
  }
}

/** What of an outbox the log has: of which incarnation each sequence must be is told by `lineage`. */
export async function* inLane(
  ledger: StreamLedger,
  messages: StoredMessages,
  range: PlaceRange,
  { node, lineage }: { readonly node: string; readonly lineage: readonly LaneSegment[] },
  look: Exclude<Look, "counted">,
): StoredEvents {
  const lanes = new Map(lineage.map((segment) => [laneName(node, segment.incarnation), segment]));
  const spans = ledger.laneSpans(range, (lane) => lanes.has(lane));
  for (const span of spans) {
    for await (const part of messages.read(span, look === "content" ? "disk" : "headers")) {
      for (const message of part) {
        const found = loggedPlace(message.subject, message.headerText);
        const segment = found?.origin && lanes.get(found.origin.lane);
        if (!found?.origin || !segment) continue;
        const { seq: place } = found.origin;
        if (place < range.from || place > range.to || place <= segment.after || place > segment.upTo)
          continue;
        const timeUs = Number(headerValue(message.headerText, HEADER.time)?.split(" ")[0]);
        const content = look === "content" ? shippedContent(message, timeUs) : undefined;
        yield storedEvent({ place, id: found.id, domain: "" }, content);
      }
    }
  }
}

/** An incarnation's part of an outbox: its events after one sequence and up to another. */
export interface LaneSegment {
  readonly incarnation: number;
  readonly after: number;
  readonly upTo: number;
}

/** When the outbox stored it is the event's own, too. */
function shippedContent(message: StoredMessage, timeUs: number): { high: number; low: number } {
  const { high, low } = shippedContentHash(message);
  const at = hasher.of(String(timeUs), 0);
  return { high: (high + at.high) | 0, low: (low + at.low) | 0 };
}

/** The sums of ranges, none of which overlaps another, as they are within what is given. */
export async function sumsOf(events: StoredEvents, ranges: readonly PlaceRange[]): Promise<Sum[]> {
  const sums: Sum[] = ranges.map(() => NOTHING);
  let at = 0;
  for await (const { place, high, low } of events) {
    const known = ranges[at];
    if (!known || place < known.from || place > known.to)
      at = ranges.findIndex(({ from, to }) => place >= from && place <= to);
    if (at < 0) at = 0;
    else sums[at] = plus(sums[at] as Sum, { count: 1, high, low });
  }
  return sums;
}

/** The events themselves, of one block. @throws RangeError when it is more than one */
export async function listOf(events: StoredEvents, { from, to }: PlaceRange): Promise<ListedEvent[]> {
  if (blockOf(from) !== blockOf(to)) throw new RangeError(`${from} to ${to} is more than one block`);
  const list: ListedEvent[] = [];
  for await (const { place, id, domain, content } of events) list.push({ place, id, domain, content });
  return list;
}
