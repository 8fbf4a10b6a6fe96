import { beginsReign, positionOf } from "../../shared/follow/read-history.ts";
import { lastCommonPosition, type ReignHistory, type ReignStart } from "../../shared/follow/reign-history.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { type LogPosition, type Reign, sameReign } from "../../shared/protocol/reign.ts";

/** Where a folder stands in its node's log or copy. */
export interface Standing {
  /** Sequence in the stream up to which everything is folded, and when that stream was created. */
  readonly seq: number;
  readonly created: string;
  /** What the message there says of its place in the log; null: nothing. */
  readonly here: string | null;
  /** The furthest position among what is folded; undefined: nothing of the log. */
  readonly at: LogPosition | undefined;
  /** The reigns that were passed, in the log's order; the oldest may be left out. */
  readonly reigns: readonly Pick<ReignStart, "reign" | "index">[];
}

/** The stream as it is now. */
export interface StreamNow extends ReignHistory {
  readonly created: string;
  readonly firstSeq: number;
  /** What stands at the folder's sequence says of its place in the log; undefined: nothing stands there. */
  readonly here: string | null | undefined;
}

export type GoOn =
  /** `gap`: messages behind the standing were let go of before they were folded. */
  | { readonly kind: "behind"; readonly startSeq: number; readonly gap: boolean }
  /** The log is the same, the stream another or mended: read it from its start, what is folded is known by its index. */
  | { readonly kind: "again"; readonly startSeq: number; readonly gap: boolean; readonly reason: string }
  /** States have events that the log does not have: it was restored. Up to `sound` (a log index) both agree. */
  | { readonly kind: "other-log"; readonly sound: number; readonly reason: string };

/** Where folding goes on. Pure. */
export function whereToGoOn(standing: Standing, now: StreamNow): GoOn {
  const { at, seq } = standing;
  const startSeq = Math.max(1, now.firstSeq);
  if (!at) return { kind: "behind", startSeq, gap: (now.reigns[0]?.index ?? 1) > 1 };
  const other = contradicts(at, now);
  if (other) {
    const common = lastCommonPosition(historyOf(standing), now);
    return {
      kind: "other-log",
      sound: Math.min(common?.index ?? 0, other.index - 1),
      reason: `states stand at ${at.index} in a log that goes on otherwise from ${other.index} on`,
    };
  }
  const same = standing.created === now.created;
  // The last message that was folded may have been let go of with all before it.
  if (same && (now.here === standing.here || seq < startSeq)) {
    return { kind: "behind", startSeq: Math.max(startSeq, seq + 1), gap: startSeq > seq + 1 };
  }
  const first = now.reigns[0]?.index ?? 1;
  const reason = same ? "the stream was mended below where folding stood" : "the stream is another one";
  return { kind: "again", startSeq, gap: first > at.index + 1, reason };
}

/** The first reign that stands where another one was folded; undefined: the log may still have all that was. */
function contradicts(at: LogPosition, { reigns, last }: ReignHistory): { index: number } | undefined {
  const covering = reigns.findLastIndex(({ index }) => index <= at.index);
  const there = reigns[covering];
  if (!there || sameReign(there.reign, at.reign)) return undefined;
  if (isYounger(there.reign, at.reign)) return there;
  // An older reign that was still writing at that index.
  const end = reigns[covering + 1]?.index ?? (last?.index ?? 0) + 1;
  return end > at.index ? { index: at.index } : undefined;
}

function historyOf({ reigns, at }: Standing): ReignHistory {
  return { reigns: reigns.map((one) => ({ ...one, seq: 0 })), last: at };
}

export function isYounger(reign: Reign, than: Reign): boolean {
  return reign.epoch > than.epoch || (reign.epoch === than.epoch && reign.id !== than.id);
}

export type Step =
  | { readonly kind: "next"; readonly position: LogPosition }
  /** Of a domain that was filled in behind younger events, or read before. */
  | { readonly kind: "late"; readonly position: LogPosition }
  /** Not of the log: a copy's own record, or what no sequencer wrote. */
  | { readonly kind: "beside" }
  | { readonly kind: "other-log"; readonly sound: number };

/** What a folder took last. */
export interface Taken {
  readonly at: LogPosition;
  /** Its sequence in the stream; 0: not known, as right after messages were let go of. */
  readonly seq: number;
}

/**
 * What a message is to a folder. Pure.
 * @param taken undefined: nothing yet
 * @param whole the stream is the log itself and all of it is read: in a reign, indexes and sequences grow together
 */
export function nextStep(taken: Taken | undefined, message: StoredMessage, whole: boolean): Step {
  const position = positionOf(message);
  if (!position) return { kind: "beside" };
  if (!taken) return { kind: "next", position };
  const { at } = taken;
  const same = sameReign(position.reign, at.reign);
  const begins = !same && beginsReign(message);
  if (begins && isYounger(position.reign, at.reign) && position.index <= at.index)
    return { kind: "other-log", sound: position.index - 1 };
  if (position.index <= at.index) return { kind: "late", position };
  if (!whole || begins || taken.seq === 0) return { kind: "next", position };
  const further = message.seq - taken.seq;
  // In the log itself, what has another place than its own is somebody's answer that was stored there.
  const fits = same ? position.index - at.index === further : further > 1;
  return fits ? { kind: "next", position } : { kind: "beside" };
}
