import { contractFor, NO_CONTRACTS } from "../../consistency/contract/contract.ts";
import { headerLine } from "../../protocol/headers.ts";
import { HEADER, STREAM } from "../../protocol/names.ts";
import { EventRejected } from "../append-errors.ts";
import { type AppendLimits, type EncodedEvent, type EventToAppend, encodeEvent } from "../event-to-append.ts";

/** An event of a strong domain, ready to be sent. */
export interface EncodedCommit extends EncodedEvent {
  /** The version that its aggregate must be at; 0: it has no event. Undefined: any. */
  readonly expected: number | undefined;
}

export function isStrongEvent(
  { domain }: Pick<EventToAppend, "domain">,
  { contracts = NO_CONTRACTS }: AppendLimits,
): boolean {
  return contractFor(contracts, domain).mode === "strong";
}

/** @throws {EventRejected} */
export function encodeCommit(
  event: EventToAppend,
  limits: AppendLimits,
  stamp?: (seen: string | undefined) => string,
): EncodedCommit {
  const expected = expectedVersion(event);
  const { expect: _, ...rest } = event;
  const encoded = encodeEvent(rest, limits, stamp);
  const lines =
    headerLine("Nats-Expected-Stream", STREAM.events) +
    (expected === undefined ? "" : headerLine(HEADER.expectedVersion, expected));
  const { message } = encoded;
  return { ...encoded, message: { ...message, headerText: lines + message.headerText }, expected };
}

function expectedVersion({ domain, expect }: EventToAppend): number | undefined {
  if (expect === undefined) return undefined;
  if (expect === "none") return 0;
  const version: unknown =
    typeof expect === "object" && expect !== null && "version" in expect && expect.version;
  if (typeof version === "number" && Number.isSafeInteger(version) && version >= 0) return version;
  throw new EventRejected(
    "expect",
    `expect: ${JSON.stringify(expect)} is no version of the strong domain ${domain}; write "none", what append gave there, or { version } of an event that was read`,
  );
}

/** Each event of a strong domain is a commit of its own. @throws {EventRejected} */
export function refuseStrongBatch(events: readonly EventToAppend[], limits: AppendLimits): void {
  const strong = events.length > 1 ? events.find((event) => isStrongEvent(event, limits)) : undefined;
  if (!strong) return;
  throw new EventRejected(
    "events",
    `events: ${strong.domain} is a strong domain, whose events are not stored as batches; append each by itself`,
  );
}
