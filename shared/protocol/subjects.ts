// Every subject of cim. Patterns are for permissions and subscriptions, functions for single subjects.

export const EVENTS_PREFIX = "cim.events.";
export const LOG_PREFIX = "cim.log.";

export const SUBJECT = {
  allEvents: "cim.events.>",
  allLog: "cim.log.>",
  /** Control records as stored in the log and in copies. No domain begins with `_`. */
  controlRecords: "cim.events._cim.>",
  heartbeats: "cim.node.*.heartbeat",
  /** Every reign's fence. */
  fences: "cim.events._cim.fence.*",
  /** Uplink blocks of every node. Not captured by a stream: that would answer before the sequencer does. */
  ingest: "cim.ingest.*",
  refused: "cim.refused.>",
  readers: "cim.readers.>",
  conflicts: "cim.conflicts.>",
  /** Which conflicts somebody has resolved, or what was lost by them reinstated. */
  resolutions: "cim.resolutions.>",
} as const;

/** The log's control records, by kind. Published below `cim.log._cim.`, stored below `cim.events._cim.`. */
export type ControlKind = "reign" | "lane" | "refused" | "marks" | "hole" | "retired" | "copy";

export const ingestSubject = (node: string): string => `cim.ingest.${node}`;
export const heartbeatSubject = (node: string): string => `cim.node.${node}.heartbeat`;
export const controlSubject = (node: string, verb: string): string => `cim.node.${node}.control.${verb}`;
export const statusSubject = (node: string): string => `cim.node.${node}.status`;
/** Where a node's answers to its hub go: under its own name, as it may publish into nobody's inbox. */
export const nodeReplySubject = (node: string, id: string): string => `cim.node.${node}.reply.${id}`;
export const nodeReplies = (node: string): string => `cim.node.${node}.reply.>`;
/**
 * Answers about a node's health, to one run of a coordinator. They say what was asked and when, by the coordinator's own
 * counting: nothing has to be remembered of a question.
 */
export const healthReplySubject = (node: string, run: string, of: HealthSource, atMs: number): string =>
  `${nodeReplySubject(node, `health-${run}`)}.${of}.${Math.round(atMs)}`;
export const healthReplies = (run: string): string => `cim.node.*.reply.health-${run}.>`;
export type HealthSource = "agent" | "server";

/** Reads the subject of such an answer. */
export function readHealthReply(
  subject: string,
): { readonly node: string; readonly of: HealthSource; readonly atMs: number } | undefined {
  const [, , node, , , of, atMs] = subject.split(".");
  if (node === undefined || (of !== "agent" && of !== "server")) return undefined;
  return { node, of, atMs: Number(atMs) };
}

/** The cheapest question to JetStream's API: of the own server, or of a leaf's over its link (its domain is its name). */
export const serverApiSubject = (leaf?: string): string =>
  leaf === undefined ? "$JS.API.INFO" : `$JS.${leaf}.API.INFO`;
/** Of a durable name: where its reader stands. */
export const readerSubject = (name: string): string => `cim.readers.${name}`;
/**
 * Whether a daemon answers there. nats-server lets anybody name any subject as reply, and a stream may be behind it: an
 * answer to `cim.log.…` would be stored in the log.
 */
export const isAnswerable = (reply: string | undefined): boolean =>
  reply !== undefined && /^(_INBOX|cim\.node\.[^.]+\.reply)\./.test(reply);
export const refusedSubject = (reason: string, eventSubject: string): string =>
  `cim.refused.${reason}.${eventSubject.slice(EVENTS_PREFIX.length)}`;
/**
 * Of a conflict that the journal names `<log index>.<n>`. `of` is its aggregate as in events' subjects, `person.ada`; at the
 * end, as it may be several words. `*.*` for the id: all of that aggregate; `>`: of any.
 */
export const conflictSubject = (id: string, of: string): string => `cim.conflicts.${id}.${of}`;
export const resolutionSubject = (id: string, of: string): string => `cim.resolutions.${id}.${of}`;
/** Every aggregate's events of a type. */
export const typeFilter = (type: string): string => `${EVENTS_PREFIX}*.*.${type}`;
export const controlRecordPublishSubject = (kind: ControlKind): string => `${LOG_PREFIX}_cim.${kind}`;
export const controlRecordSubject = (kind: ControlKind): string => `${EVENTS_PREFIX}_cim.${kind}`;
/**
 * A reign's fence, on a subject of its own: opened by the reign and closed by the next one, so that its newest message is
 * where the reign left it only in a log in which that reign is still the last.
 */
export const fenceSubject = (reign: string): string => `${EVENTS_PREFIX}_cim.fence.${reign}`;
export const inboxPrefix = (node: string): string => `_INBOX.${node}`;
export const domainFilter = (domain: string): string => `${EVENTS_PREFIX}${domain}.>`;

/** `cim.events.<rest>` as the log's writer publishes it; the stream's transform stores it under `cim.events.` again. */
export function logPublishSubject(eventSubject: string): string {
  return LOG_PREFIX + eventSubject.slice(EVENTS_PREFIX.length);
}

/** What the stream's transform makes of it. */
export function storedLogSubject(publishSubject: string): string {
  return EVENTS_PREFIX + publishSubject.slice(LOG_PREFIX.length);
}

export interface EventAddress {
  readonly domain: string;
  /** Absent in the short form `cim.events.<domain>.<EventType>`. */
  readonly aggregate?: string;
  readonly type: string;
}

const TOKEN = /^[^\s.*>\p{Cc}]+$/u;

const EVENT_SUBJECT = /^cim\.events\.(?!_)[^\s.*>\p{Cc}]+(?:\.[^\s.*>\p{Cc}]+)+$/u;

/** Whether an event may have it: a domain, then at least a type, tokens all of them. */
export function isEventSubject(subject: string): boolean {
  return EVENT_SUBJECT.test(subject);
}

/** One subject token: no space, dot, wildcard or control character, not empty. */
export function isToken(token: string): boolean {
  return TOKEN.test(token);
}

/** A domain is a token that does not begin with `_`, which is kept for control records. */
export function isDomain(token: string): boolean {
  return isToken(token) && !token.startsWith("_");
}

export function eventSubject(address: EventAddress): string {
  const { domain, aggregate, type } = address;
  return aggregate === undefined
    ? `${EVENTS_PREFIX}${domain}.${type}`
    : `${EVENTS_PREFIX}${domain}.${aggregate}.${type}`;
}

/** Reads an event's subject; undefined when it is not one (wrong prefix, control record, one token only). */
export function parseEventSubject(subject: string): EventAddress | undefined {
  if (!subject.startsWith(EVENTS_PREFIX)) return undefined;
  const first = subject.indexOf(".", EVENTS_PREFIX.length);
  if (first < 0) return undefined;
  const domain = subject.slice(EVENTS_PREFIX.length, first);
  if (!isDomain(domain)) return undefined;
  const rest = subject.slice(first + 1);
  const last = rest.lastIndexOf(".");
  if (last < 0) return { domain, type: rest };
  return { domain, aggregate: rest.slice(0, last), type: rest.slice(last + 1) };
}

/** The domain of a stored subject without the cost of parsing the rest; `_cim` for control records. */
export function domainOf(subject: string): string {
  const end = subject.indexOf(".", EVENTS_PREFIX.length);
  return end < 0 ? subject.slice(EVENTS_PREFIX.length) : subject.slice(EVENTS_PREFIX.length, end);
}
