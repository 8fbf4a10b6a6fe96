import { PlaceReader } from "./place-reader.ts";

/** Where a message of the log or a copy stands, and what it is. */
export interface LoggedPlace {
  readonly index: number;
  /** The event's id; of a control record its subject, as it has none. */
  readonly id: string;
  /** `CONTROL_DOMAIN` (place-reader.ts): a control record. */
  readonly domain: string;
  /** Where an event of an outbox came from; null: a control record, or a strong commit, which never was in one. */
  readonly origin: { readonly lane: string; readonly seq: number } | null;
}

const reader = new PlaceReader();

/** Reads it from a message as stored or as it is about to be written; undefined: it has no place in the log. */
export function loggedPlace(subject: string, headerText: string): LoggedPlace | undefined {
  if (!reader.read(subject, headerText)) return undefined;
  const { index, id, domain, lane, seq } = reader;
  return { index, id, domain, origin: lane === "" ? null : { lane, seq } };
}
