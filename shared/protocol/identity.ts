import { hash, randomBytes } from "node:crypto";
import { headerValue } from "./headers.ts";
import { HEADER } from "./names.ts";

/** Who an event is and what it follows from. A root event is its own correlation and causation. */
export interface EventIdentity {
  readonly id: string;
  readonly correlationId: string;
  readonly causationId: string;
}

/** Chance is fetched for many ids at once: a call for each costs more than all else that is done to an event. */
const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let poolAt = 0;

/** UUID version 7 (RFC 9562): the time in front, so that ids sort as they were made. */
export function uuidv7(nowMs: number = Date.now()): string {
  if (poolAt >= pool.length) [pool, poolAt] = [randomBytes(POOL_BYTES), 0];
  const bytes = pool.subarray(poolAt, poolAt + 16);
  poolAt += 16;
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function rootIdentity(id: string = uuidv7()): EventIdentity {
  return { id, correlationId: id, causationId: id };
}

export function causedBy(cause: EventIdentity, id: string = uuidv7()): EventIdentity {
  return { id, correlationId: cause.correlationId, causationId: cause.id };
}

/** The headers that say so; the causation is left out on a root. */
export function identityHeaders(identity: EventIdentity): [string, string][] {
  const headers: [string, string][] = [
    [HEADER.msgId, identity.id],
    [HEADER.correlation, identity.correlationId],
  ];
  if (identity.causationId !== identity.id) headers.push([HEADER.causation, identity.causationId]);
  return headers;
}

/** Reads a stored event's identity from its headers; `id` as found or derived by the caller. */
export function identityOf(headerText: string, id: string): EventIdentity {
  return {
    id,
    correlationId: headerValue(headerText, HEADER.correlation) ?? id,
    causationId: headerValue(headerText, HEADER.causation) ?? id,
  };
}

/** Longer ones are not taken for ids: they travel in every header of the event. */
export const MAX_ID_LENGTH = 256;

/**
 * An event's id: what the publisher gave, else derived from where and when it was stored and from its body, so that
 * every node comes to the same.
 */
export function eventId(
  origin: { readonly node: string; readonly seq: number },
  timeUs: number,
  headerText: string,
  body: Uint8Array,
): string {
  const given = headerText === "" ? undefined : headerValue(headerText, HEADER.msgId);
  if (given !== undefined && given !== "" && given.length <= MAX_ID_LENGTH) return given;
  const bodyHash = hash("sha256", body, "hex");
  return hash("sha256", `${origin.node} ${origin.seq} ${timeUs} ${bodyHash}`, "hex").slice(0, 32);
}
