import type { StoredMessage } from "../../shared/protocol/event.ts";

// Every append of a run has a number of its own in its body: that is what the checker counts.

export function bodyOf(uid: number, bytes: number): Buffer {
  return Buffer.from(`#${uid} `.padEnd(bytes, "."));
}

/** undefined: a control record. */
export function uidOf(message: StoredMessage): number | undefined {
  if (message.body[0] !== 0x23) return undefined;
  return Number.parseInt(Buffer.from(message.body).toString("latin1", 1, 12), 10);
}
