import { headerValue } from "../../protocol/headers.ts";
import { HEADER } from "../../protocol/names.ts";
import { type Origin, parseOrigin } from "../../protocol/origin.ts";
import { parseLogPosition } from "../../protocol/reign.ts";
import { domainOf, EVENTS_PREFIX, LOG_PREFIX } from "../../protocol/subjects.ts";

/** Where a message of the log or a copy stands, and what it is. */
export interface LoggedPlace {
  readonly index: number;
  /** The event's id; of a control record its subject, as it has none. */
  readonly id: string;
  /** `_cim`: a control record. */
  readonly domain: string;
  /** `<node> <incarnation> <lane> <seq>`, unread; undefined: a control record. */
  readonly from: string | undefined;
}

export const CONTROL_DOMAIN = "_cim";

const LOG_LINE = `${HEADER.log}: `;
const ORIGIN_LINE = `${HEADER.origin}: `;
const ID_LINE = `${HEADER.id}: `;

/**
 * Reads it from a message as stored or as it is about to be written; undefined: it has no place in the log. The log's
 * writer puts its lines in front and in one order, and so they are looked for there: each event of the log passes here.
 */
export function loggedPlace(subject: string, headerText: string): LoggedPlace | undefined {
  const stored = subject.startsWith(LOG_PREFIX) ? EVENTS_PREFIX + subject.slice(LOG_PREFIX.length) : subject;
  const at = headerText.startsWith(LOG_LINE) ? 0 : headerText.indexOf(`\n${LOG_LINE}`) + 1;
  if (at === 0 && !headerText.startsWith(LOG_LINE)) return undefined;
  const logEnd = headerText.indexOf("\r\n", at);
  if (logEnd < 0) return undefined;
  const position = headerText.slice(at + LOG_LINE.length, logEnd);
  const index = Number(position.slice(position.lastIndexOf(".") + 1));
  if (!Number.isSafeInteger(index) || index < 1) return undefined;
  const domain = domainOf(stored);
  if (domain === CONTROL_DOMAIN)
    return parseLogPosition(position) && { index, id: stored, domain, from: undefined };
  const originAt = logEnd + 2;
  const originEnd = headerText.startsWith(ORIGIN_LINE, originAt) ? headerText.indexOf("\r\n", originAt) : -1;
  const idAt = originEnd + 2;
  const idEnd = originEnd > 0 && headerText.startsWith(ID_LINE, idAt) ? headerText.indexOf("\r\n", idAt) : -1;
  if (idEnd > 0) {
    const from = headerText.slice(originAt + ORIGIN_LINE.length, originEnd);
    return { index, id: headerText.slice(idAt + ID_LINE.length, idEnd), domain, from };
  }
  // Not as our sequencer writes them, but the log's all the same.
  const from = headerValue(headerText, HEADER.origin);
  const id = headerValue(headerText, HEADER.id);
  return from === undefined || id === undefined ? undefined : { index, id, domain, from };
}

/** Where an event of an outbox came from; undefined: a control record, or a strong commit, which never was in one. */
export function outboxOrigin({ from }: LoggedPlace): Origin | undefined {
  const origin = parseOrigin(from);
  return origin?.lane === "e" ? origin : undefined;
}
