import { NoRespondersError, PermissionViolationError, RequestError } from "@nats-io/transport-node";
import type { WriteResult } from "../nats/batch-publisher.ts";
import type { EncodedEvent } from "./event-to-append.ts";
import type { ActualVersion } from "./expectation.ts";

export interface Stored {
  readonly seq: number;
  readonly duplicate?: true;
}

export type UnitOutcome =
  | { readonly kind: "stored"; readonly events: readonly Stored[] }
  | { readonly kind: "full"; readonly reason: string }
  | { readonly kind: "rejected"; readonly reason: string }
  /** `again`: nobody took it, as while a server starts; the same a moment later may work. */
  | { readonly kind: "not-stored"; readonly reason: string; readonly again: boolean }
  | { readonly kind: "conflict"; readonly event: EncodedEvent; readonly actual: ActualVersion }
  | { readonly kind: "unknown"; readonly reason: string };

/** JetStream error codes (nats-server's errors.json). */
const STORE_FAILED = 10077;
const NO_RESOURCES: ReadonlySet<number> = new Set([10023, 10028, 10047]);
const TOO_LARGE = 10054;
export const CONTAINS_DUPLICATE = 10201;
const WRONG_LAST_ID = 10070;
/** 10164: the same, said of an event that is being written. */
export const WRONG_VERSION: ReadonlySet<number> = new Set([10071, 10164]);

/** Reads the server's answer about one message, or one batch. Pure. */
export function outcomeOf(result: WriteResult): UnitOutcome {
  switch (result.kind) {
    case "stored":
      return {
        kind: "stored",
        events: [{ seq: result.lastSeq, ...(result.duplicate && { duplicate: true }) }],
      };
    case "refused": {
      const { errCode, reason } = result;
      // 10077 carries whatever the store said: a limit, in Go's words, or trouble with the disk.
      if (NO_RESOURCES.has(errCode) || (errCode === STORE_FAILED && /^maximum /.test(reason)))
        return { kind: "full", reason };
      if (errCode === TOO_LARGE) return { kind: "rejected", reason };
      return { kind: "not-stored", reason: `${reason} (${errCode})`, again: false };
    }
    case "unknown": {
      const cause = result.cause instanceof RequestError ? result.cause.cause : result.cause;
      if (cause instanceof NoRespondersError) {
        return { kind: "not-stored", reason: "no stream takes events there", again: true };
      }
      if (cause instanceof PermissionViolationError) return { kind: "rejected", reason: cause.message };
      return { kind: "unknown", reason: result.reason };
    }
  }
}

/** Refused because of what was sent before it: by the header that says so, or because of that header's size. Pure. */
export function isForItsPlace(result: WriteResult): boolean {
  return result.kind === "refused" && (result.errCode === WRONG_LAST_ID || result.errCode === TOO_LARGE);
}

/**
 * What those get that come behind one that the store did not take, or did not answer: they would only be stored before it,
 * should it be sent again. Pure.
 */
export function unsentAfter(told: readonly UnitOutcome[]): UnitOutcome | undefined {
  const failed = told.find(({ kind }) => kind === "not-stored" || kind === "unknown");
  if (!failed || !("reason" in failed)) return undefined;
  const again = failed.kind === "unknown" || (failed.kind === "not-stored" && failed.again);
  return { kind: "not-stored", reason: failed.reason, again };
}
