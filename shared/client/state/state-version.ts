import { type Clock, formatClock, parseClock } from "../../consistency/clock/clock-header.ts";

/**
 * What a state knew when it was read: which events of its aggregate were in it, and the latest time by which they count. As
 * a text, `<node> <clock>`: what a program gives back as `seen`, and what becomes the event's `Cim-Clock`.
 */
export interface StateVersion {
  /** Where it was read: `.` in the vector means that node's own outbox. */
  readonly node: string;
  readonly clock: Clock;
}

export function formatVersion({ node, clock }: StateVersion): string {
  return `${node} ${formatClock(clock)}`;
}

/** Undefined: it is none. */
export function parseVersion(text: unknown): StateVersion | undefined {
  if (typeof text !== "string") return undefined;
  const space = text.indexOf(" ");
  if (space < 1) return undefined;
  const clock = parseClock(text.slice(space + 1));
  return clock && { node: text.slice(0, space), clock };
}
