import { bodyFault } from "../consistency/contract/body-fault.ts";
import { type Contracts, contractFor, NO_CONTRACTS } from "../consistency/contract/contract.ts";
import type { OutgoingMessage } from "../nats/batch-publisher.ts";
import { headerLine } from "../protocol/headers.ts";
import { causedBy, type EventIdentity, identityHeaders, rootIdentity } from "../protocol/identity.ts";
import { HEADER, RESERVED_HEADERS } from "../protocol/names.ts";
import { EVENTS_PREFIX, eventSubject, isDomain, isToken } from "../protocol/subjects.ts";
import { EventRejected } from "./append-errors.ts";
import type { Expectation } from "./expectation.ts";

/** An event as a program gives it. */
export interface EventToAppend {
  /** One word of a subject, as `person`; it may not begin with `_`. */
  readonly domain: string;
  /** Which one of the domain it happened to; one word of a subject. Without it the event is about the domain. */
  readonly aggregate?: string;
  /** What happened, as `PersonCreated`; one word of a subject. */
  readonly type: string;
  /**
   * The body: bytes as they are, anything else as JSON. Left out: an empty body. Leave bytes unchanged until the append is
   * answered: they are not copied.
   */
  readonly data?: unknown;
  /**
   * The event's id for ever, on every node. Appending the same id again within two minutes gives the event that is there.
   * 1 to 256 printable ASCII characters without spaces; left out: a new UUIDv7.
   */
  readonly id?: string;
  /** The event (or command) that this one follows from; an `Appended` fits. Left out: it is a root, its own cause. */
  readonly causedBy?: Pick<EventIdentity, "id" | "correlationId">;
  /**
   * Store it only if this is the newest event of the aggregate, of any type, in this node's outbox; else `VersionConflict`.
   * An `Appended` of that aggregate fits; `"none"`: it has none. Sequences are local to a node, so it carries the node, and
   * one of another node is refused. Events that other nodes write do not count: this node can't know them in time.
   *
   * In a strong domain: only if the aggregate is at this version, whoever wrote there. An `Appended` of any node fits, and an
   * event that was read.
   */
  readonly expect?:
    | "none"
    | { readonly node: string; readonly seq: number }
    | { readonly version: number | undefined };
  /**
   * What the writer had seen of the aggregate: the `version` of a state that was read. What is in it this event overrides
   * everywhere, whatever clocks say; without it, what other nodes wrote meanwhile may or may not have been known.
   */
  readonly seen?: string;
  /** Further headers, as `traceparent`. `Nats-*` and those that carry identity and origin are not for callers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The outbox's limits. */
export interface AppendLimits {
  /** Headers and body of one event, bytes. */
  readonly eventBytes: number;
  /** Whose outbox it is: expectations of another's are refused. */
  readonly node: string;
  /** How its domains replicate; left out: nobody has said. */
  readonly contracts?: Contracts;
}

/** An event ready to be sent. */
export interface EncodedEvent {
  readonly identity: EventIdentity;
  readonly message: OutgoingMessage;
  /** Filter of all events of its aggregate; of the domain's own ones when it has none. */
  readonly aggregate: string;
  readonly expectation?: Expectation;
  /** What it occupies here and on the wire, bytes, roughly. */
  readonly bytes: number;
}

/** What a batch adds to an event's headers (`Nats-Batch-*`), and `NATS/1.0` with its empty line; bytes. */
export const HEADER_ROOM_BYTES = 256;

/** nats-server closes the connection of who sends a longer command line (`max_control_line`, 4,096 with its reply subject). */
const MAX_SUBJECT_BYTES = 2048;

/** The server holds a batch in memory until it is committed. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

const ID = /^[\x21-\x7e]{1,256}$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const OWN_HEADERS: readonly string[] = [
  HEADER.correlation,
  HEADER.causation,
  HEADER.clock,
  ...RESERVED_HEADERS,
];

/** Without the types' help a program may pass anything. @throws {EventRejected} */
export function checkAreEvents(events: readonly unknown[]): void {
  for (const event of events) {
    if (typeof event === "object" && event !== null) continue;
    const message = `events: ${JSON.stringify(event)} is no event; write { domain, type } and more of it`;
    throw new EventRejected("events", message);
  }
}

/**
 * Checks an event and gives what is sent for it. Pure but for a new id.
 * @param stamp gives the line of its clock
 * @throws {EventRejected}
 */
export function encodeEvent(
  event: EventToAppend,
  limits: AppendLimits,
  stamp?: (seen: string | undefined) => string,
): EncodedEvent {
  const subject = subjectOf(event);
  const identity = identityFor(event);
  let headerText = "";
  for (const [name, value] of identityHeaders(identity)) headerText += headerLine(name, value);
  for (const [name, value] of Object.entries(event.headers ?? {}))
    headerText += headerLine(name, checked(name, value));
  if (stamp) headerText += stamp(event.seen);
  const body = bodyOf(event.data);
  const size = Buffer.byteLength(headerText) + body.byteLength + HEADER_ROOM_BYTES;
  if (size > limits.eventBytes) {
    const limit = { name: "max_msg_size of CIM_OUTBOX", max: limits.eventBytes, actual: size };
    const message = `data: the event is ${size} bytes with its headers; ${limit.name} is ${limit.max}: keep large content elsewhere and name it in the event`;
    throw new EventRejected("data", message, { limit });
  }
  const fault = bodyFault(contractFor(limits.contracts ?? NO_CONTRACTS, event.domain), body);
  if (fault !== undefined)
    throw new EventRejected("data", `data: ${fault} (the contract of ${event.domain} on ${limits.node})`);
  const expectation = expectationOf(event, limits.node);
  return {
    identity,
    message: { subject, headerText, body },
    aggregate: `${subject.slice(0, -event.type.length)}*`,
    bytes: size + subject.length,
    ...(expectation && { expectation }),
  };
}

function expectationOf({ domain, expect }: EventToAppend, node: string): Expectation | undefined {
  if (expect === undefined) return undefined;
  if (expect === "none") return { seq: 0, serverSeq: 0 };
  const refuse = (why: string) => new EventRejected("expect", `expect: ${why}`);
  if (typeof expect === "object" && expect !== null && "version" in expect && expect.version !== undefined)
    throw refuse(
      `version ${expect.version} is of a strong domain, and ${domain} is none; give what append gave here`,
    );
  if (
    typeof expect !== "object" ||
    expect === null ||
    !("seq" in expect) ||
    !Number.isSafeInteger(expect.seq) ||
    expect.seq < 1
  )
    throw refuse(`${JSON.stringify(expect)} is not a version; write "none", or what append gave`);
  if (expect.node !== node)
    throw refuse(
      `sequence ${expect.seq} is of ${JSON.stringify(expect.node)}, and this is ${node}: sequences mean something on their node only`,
    );
  return { seq: expect.seq, serverSeq: expect.seq };
}

/** @throws {EventRejected} a batch larger than a server should hold until it is committed */
export function checkBatchBytes(events: readonly EncodedEvent[]): void {
  if (events.length < 2) return;
  const actual = events.reduce((total, { bytes }) => total + bytes, 0);
  if (actual <= MAX_BATCH_BYTES) return;
  const limit = { name: "bytes of one batch", max: MAX_BATCH_BYTES, actual };
  const message = `events: ${actual} bytes are more than the ${MAX_BATCH_BYTES} that are stored as one; append them in several batches`;
  throw new EventRejected("events", message, { limit });
}

/** Within one batch only the first event of an aggregate can expect something. @throws {EventRejected} */
export function checkExpectations(events: readonly EncodedEvent[]): void {
  if (events.length < 2) return;
  const seen = new Set<string>();
  for (const { aggregate, expectation } of events) {
    if (expectation && seen.has(aggregate)) {
      const whose = aggregate.slice(EVENTS_PREFIX.length, -2);
      const message = `expect: ${whose} has an earlier event in this batch; only the first of an aggregate can expect a version`;
      throw new EventRejected("expect", message);
    }
    seen.add(aggregate);
  }
}

function subjectOf({ domain, aggregate, type }: EventToAppend): string {
  const rule = "write one word without spaces, dots, * or >";
  const refuse = (part: string, value: unknown, what = rule) => {
    throw new EventRejected(part, `${part}: ${JSON.stringify(value)} can't be part of a subject; ${what}`);
  };
  if (typeof domain !== "string" || !isToken(domain)) refuse("domain", domain);
  if (!isDomain(domain)) refuse("domain", domain, "a domain does not begin with _");
  if (aggregate !== undefined && (typeof aggregate !== "string" || !isToken(aggregate)))
    refuse("aggregate", aggregate);
  if (typeof type !== "string" || !isToken(type)) refuse("type", type);
  const subject = eventSubject({ domain, type, ...(aggregate !== undefined && { aggregate }) });
  const actual = Buffer.byteLength(subject);
  if (actual > MAX_SUBJECT_BYTES) {
    const limit = { name: "length of a subject", max: MAX_SUBJECT_BYTES, actual };
    const message = `aggregate: the subject would be ${actual} bytes; ${MAX_SUBJECT_BYTES} are the limit`;
    throw new EventRejected("aggregate", message, { limit });
  }
  return subject;
}

function isId(given: unknown): boolean {
  return typeof given === "string" && ID.test(given);
}

function identityFor({ id, causedBy: cause }: EventToAppend): EventIdentity {
  const refuse = (part: string, given: unknown, instead: string) => {
    throw new EventRejected(part, `${part}: ${JSON.stringify(given)} is not an id; ${instead}`);
  };
  if (id !== undefined && !isId(id))
    refuse("id", id, "write 1 to 256 printable ASCII characters without spaces");
  for (const given of cause ? [cause.id, cause.correlationId] : [])
    if (!isId(given)) refuse("causedBy", given, "give what append gave, or an event that was read");
  return cause ? causedBy({ ...cause, causationId: cause.id }, id) : rootIdentity(id);
}

function checked(name: string, value: unknown): string {
  if (!HEADER_NAME.test(name))
    throw new EventRejected("headers", `headers: "${name}" is not a header's name`);
  if (/^nats-/i.test(name) || OWN_HEADERS.includes(name)) {
    throw new EventRejected(
      "headers",
      `headers: ${name} is set by cim; use id and causedBy, or another name`,
    );
  }
  if (typeof value !== "string" || /\p{Cc}/u.test(value)) {
    throw new EventRejected("headers", `headers: the value of ${name} must be one line of text`);
  }
  return value;
}

function bodyOf(data: unknown): Uint8Array {
  if (data === undefined) return new Uint8Array();
  if (data instanceof Uint8Array) return data;
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    // V8 draws a circle over several lines.
    const why = String(cause instanceof Error ? cause.message : cause).split("\n")[0];
    throw new EventRejected(
      "data",
      `data: can't be written as JSON (${why}); give JSON values or a Uint8Array`,
      { cause },
    );
  }
  // A function or a symbol.
  if (json === undefined)
    throw new EventRejected("data", "data: can't be written as JSON; give JSON values or a Uint8Array");
  return Buffer.from(json);
}
