import { hash } from "node:crypto";

/**
 * What an origin's events are numbered in. `e`: events of its outbox. `c`: its strong commits, which never were in an outbox:
 * the sequencer numbers them, by the log.
 */
export type Lane = "e" | "c";

/** `Cim-Origin`: which event of which origin this is. */
export interface Origin {
  readonly node: string;
  /** Issued by the hub; a new one when the node's outbox was recreated or rolled back. Of a commit: the reign's epoch. */
  readonly incarnation: number;
  readonly lane: Lane;
  /** The outbox's sequence; deleted ones leave gaps. Of a commit: its index in the log. */
  readonly seq: number;
}

/** The last event of a lane that a log has: its sequence and what it was. `seq` 0 and an empty print: nothing yet. */
export interface LaneMark {
  readonly seq: number;
  readonly print: string;
}

export const NOTHING_YET: LaneMark = { seq: 0, print: "" };

export function formatOrigin(origin: Origin): string {
  return `${origin.node} ${origin.incarnation} ${origin.lane} ${origin.seq}`;
}

export function parseOrigin(text: string | undefined): Origin | undefined {
  if (text === undefined) return undefined;
  const [node, incarnation, lane, seq, more] = text.split(" ");
  if (!node || (lane !== "e" && lane !== "c") || more !== undefined) return undefined;
  const origin = { node, incarnation: Number(incarnation), lane, seq: Number(seq) } as const;
  if (!Number.isSafeInteger(origin.incarnation) || origin.incarnation < 1) return undefined;
  if (!Number.isSafeInteger(origin.seq) || origin.seq < 1) return undefined;
  return origin;
}

/** What tells one stored event from any other that ever had its sequence: an outbox stamps its time and id but once. */
export interface Printable {
  readonly seq: number;
  readonly timeUs: number;
  readonly id: string;
  readonly subject: string;
}

/**
 * An event's print. Two outboxes that were one (restored from a backup, cloned) agree on the prints of their common
 * part and on none after it, so comparing one print at one sequence says whether all before it is the same. It needs no
 * body, hence a log can be searched for it by headers alone.
 */
export function printOf(event: Printable): string {
  return hash("sha256", `${event.seq} ${event.timeUs} ${event.id} ${event.subject}`, "base64url").slice(
    0,
    16,
  );
}

export function sameMark(a: LaneMark, b: LaneMark): boolean {
  return a.seq === b.seq && a.print === b.print;
}
