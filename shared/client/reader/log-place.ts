import { lastCommonPosition, type ReignHistory } from "../../follow/reign-history.ts";
import { formatLogPosition, type LogPosition, sameReign } from "../../protocol/reign.ts";

export type LogContinuation =
  /** From behind that index. */
  | { readonly kind: "behind"; readonly index: number; readonly again?: string }
  /** This node does not have it yet. */
  | { readonly kind: "ahead"; readonly reason: string }
  | { readonly kind: "gone"; readonly reason: string };

/**
 * Where a reader that stood at a position of the log goes on in this node's log or copy, as Raft compares logs. After a
 * log was restored it is the last point that both have: what the reader had of the lost part may come again, numbered
 * anew. Pure.
 */
export function continuationOf(mine: ReignHistory, at: LogPosition, here: ReignHistory): LogContinuation {
  const words = formatLogPosition(at);
  const { last } = here;
  if (!last)
    return { kind: "ahead", reason: `the reader stands at ${words}, and nothing of the log is here` };
  const reign = here.reigns.find((one) => sameReign(one.reign, at.reign));
  const common = lastCommonPosition(mine, here);
  if (common && common.index >= at.index) {
    const first = here.reigns[0]?.index ?? 1;
    if (at.index + 1 < first) {
      return {
        kind: "gone",
        reason: `the reader stands at ${words}, the log begins at ${first} here: retention let go of what is between`,
      };
    }
    return { kind: "behind", index: at.index };
  }
  const isNewest = reign && sameReign(here.reigns.at(-1)?.reign ?? at.reign, at.reign);
  if (isNewest || last.reign.epoch < at.reign.epoch) {
    return {
      kind: "ahead",
      reason: `the reader stands at ${words}, this node has the log up to ${formatLogPosition(last)}`,
    };
  }
  const index = common?.index ?? 0;
  return {
    kind: "behind",
    index,
    again: `the log is another one behind ${index} than the reader had up to ${words}, as it was restored: events may come again`,
  };
}
