import type { PlaceRange } from "../../shared/consistency/proof/block-sums.ts";
import type { EventDifference } from "../../shared/consistency/proof/compare.ts";
import type { Difference } from "../../shared/consistency/proof/compare-sides.ts";
import { type Sum, sumText } from "../../shared/consistency/proof/sum.ts";
import type { Look, ProofOf } from "../../shared/protocol/proof-messages.ts";

/** What a comparison of the log with one node's copy or outbox came to. */
export interface Finding {
  readonly node: string;
  readonly of: ProofOf;
  readonly look: Look;
  /** ISO 8601. */
  readonly checkedAt: string;
  /** Log indexes of a copy, sequences of an outbox; both ends were compared. */
  readonly from: number;
  readonly upTo: number;
  /** Of the log within that range, as far as the node follows it: how many, and what they add up to. */
  readonly events: number;
  readonly hash: string;
  readonly difference: Diverged | null;
  /** Content was read from the disk; false: the node's server gave it, whose files its daemon can't read. */
  readonly disk: boolean;
}

export interface Diverged {
  readonly ranges: readonly PlaceRange[];
  readonly more: boolean;
  /** Who has not what it had, where that can be told. */
  readonly side: "log" | "node" | null;
  /** ISO 8601: found first. */
  readonly since: string;
  readonly events: readonly EventDifference[] | null;
}

export function findingOf(
  facts: Omit<Finding, "events" | "hash" | "difference">,
  sum: Sum,
  difference: Difference | undefined,
): Finding {
  const { events = null, ranges = [], more = false } = difference ?? {};
  return {
    ...facts,
    events: sum.count,
    hash: sumText(sum),
    difference: difference ? { ranges, more, events, side: null, since: facts.checkedAt } : null,
  };
}

/**
 * Whose fault a difference of a copy is. The log's: it has less there than was counted when it was written, or every other
 * copy differs from it in the same events. The node's: other copies agree with the log there. null: that can't be told.
 * Pure.
 * @param shrunk where the log has less than was counted
 */
export function sideOf(
  finding: Finding,
  all: readonly Finding[],
  shrunk: readonly PlaceRange[],
): "log" | "node" | null {
  const { difference, of, node, look } = finding;
  if (!difference || of !== "copy") return null;
  const { ranges } = difference;
  const others = all.filter((one) => one.of === "copy" && one.node !== node && one.look === look);
  const judges = others.filter(({ from, upTo }) => meet(ranges, [{ from, to: upTo }]));
  const { events } = difference;
  if (!events) {
    if (meet(ranges, shrunk)) return "log";
    const agree = judges.filter((one) => !one.difference || !meet(ranges, one.difference.ranges));
    return agree.length > 0 ? "node" : null;
  }
  const isLogs = (event: EventDifference) => {
    if (event.kind === "extra" && meet([{ from: event.place, to: event.place }], shrunk)) return true;
    return (
      judges.length > 0 &&
      judges.every((one) => one.difference?.events?.some((other) => isSame(event, other)))
    );
  };
  if (events.every(isLogs)) return "log";
  return judges.length > 0 && !events.some(isLogs) ? "node" : null;
}

const isSame = (a: EventDifference, b: EventDifference): boolean =>
  a.kind === b.kind && a.place === b.place && a.id === b.id;

/** The newest finding of each kind, of each node's copy and outbox. */
export class Findings {
  readonly #found = new Map<string, Finding>();

  /** What was found before at the same is the beginning of what is found again. */
  set(finding: Finding): void {
    const key = keyOf(finding);
    const before = this.#found.get(key)?.difference;
    const { difference } = finding;
    this.#found.set(key, {
      ...finding,
      difference: difference && { ...difference, since: before?.since ?? difference.since },
    });
  }

  all(): Finding[] {
    return [...this.#found.values()];
  }

  /** What is to be told of one: a difference, else the newest. */
  of(node: string, of: ProofOf): Finding | undefined {
    const both = this.all().filter((one) => one.node === node && one.of === of);
    return (
      both.find(({ difference }) => difference) ??
      both.sort((a, b) => (a.checkedAt < b.checkedAt ? 1 : -1))[0]
    );
  }
}

/** What is stored says as much as what was counted, and more; content is looked at less often. */
const keyOf = ({ node, of, look }: Finding): string =>
  `${node} ${of} ${look === "content" ? look : "places"}`;

function meet(some: readonly PlaceRange[], others: readonly PlaceRange[]): boolean {
  return some.some((a) => others.some((b) => a.from <= b.to && b.from <= a.to));
}
