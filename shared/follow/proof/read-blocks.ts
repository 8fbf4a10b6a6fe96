import {
  type BlockSums,
  blockOf,
  firstOfBlock,
  lastOfBlock,
  type PlaceRange,
  type Span,
} from "../../consistency/proof/block-sums.ts";
import { type LoggedPlace, loggedPlace } from "../../consistency/proof/logged-place.ts";
import { PlaceHash } from "../../consistency/proof/place-hash.ts";
import { joinedSpans } from "../../consistency/proof/spans.ts";
import type { StreamCount } from "../../consistency/proof/stream-count.ts";
import { minus, NOTHING, plus, type Sum } from "../../consistency/proof/sum.ts";
import { SUBJECT } from "../../protocol/subjects.ts";
import type { StoredMessages } from "./stored-messages.ts";

export type IsWanted = (domain: string) => boolean;

/** What was counted of a stream, up to a sequence, and the stream itself. */
export interface CountedStream {
  readonly count: StreamCount;
  readonly messages: StoredMessages;
  readonly upToSeq: number;
}

export interface FoundPlace {
  readonly place: LoggedPlace;
  readonly seq: number;
}

/** What of a block is in the stream now. */
export async function readBlock(
  { count, messages, upToSeq }: CountedStream,
  block: number,
  isWanted: IsWanted = () => true,
): Promise<FoundPlace[]> {
  const span = count.sums.spanOf(block, isWanted);
  const found: FoundPlace[] = [];
  if (!span) return found;
  for await (const part of messages.read(span, "headers", [SUBJECT.allEvents])) {
    for (const { seq, subject, headerText } of part) {
      const place = loggedPlace(subject, headerText);
      if (place && blockOf(place.index) === block && seq <= upToSeq && isWanted(place.domain))
        found.push({ place, seq });
    }
  }
  return found;
}

/**
 * The sum of what stands within a range of log indexes. Whole blocks are known; at the range's ends the rest of a block is
 * told from the newest messages or read.
 */
export async function exactSum(
  stream: CountedStream,
  { from, to }: PlaceRange,
  isWanted: IsWanted,
): Promise<Sum> {
  if (to < from) return NOTHING;
  const { sums, recent } = stream.count;
  const [first, last] = [blockOf(from), blockOf(to)];
  const [begin, end] = [firstOfBlock(first), lastOfBlock(last)];
  let sum = sums.sum(first, last, isWanted);
  if (from > begin) sum = minus(sum, await readSum(stream, first, { from: begin, to: from - 1 }, isWanted));
  if (to === end) return sum;
  const after = recent.sumBetween(to, end, isWanted);
  return minus(sum, after ?? (await readSum(stream, last, { from: to + 1, to: end }, isWanted)));
}

const hasher = new PlaceHash();

async function readSum(
  stream: CountedStream,
  block: number,
  { from, to }: PlaceRange,
  isWanted: IsWanted,
): Promise<Sum> {
  let sum = NOTHING;
  for (const { place } of await readBlock(stream, block, isWanted)) {
    if (place.index < from || place.index > to) continue;
    const { high, low } = hasher.of(place.id, place.index);
    sum = plus(sum, { count: 1, high, low });
  }
  return sum;
}

/** Where the stream holds what has its place in a range. */
export function spansIn(
  sums: BlockSums,
  { from, to }: PlaceRange,
  isWanted: (group: string) => boolean,
): Span[] {
  const spans: Span[] = [];
  for (let block = blockOf(from); block <= blockOf(to); block++) {
    const span = sums.spanOf(block, isWanted);
    if (span) spans.push(span);
  }
  return joinedSpans(spans);
}

/** The blocks of which something may have gone. @param deleted the stream's deleted sequences; undefined: too many to say */
export function touchedBlocks(
  sums: BlockSums,
  firstSeq: number,
  deleted: readonly number[] | undefined,
): number[] {
  return sums.blocks().filter((block) => {
    const span = sums.spanOf(block) as Span;
    if (!deleted || span.first < firstSeq) return true;
    return deleted.some((seq) => seq >= span.first && seq <= span.last);
  });
}
