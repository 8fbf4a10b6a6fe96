import type { StoredMessage } from "./event.ts";
import { carriedLogHeaders, headerEntries, headerValue } from "./headers.ts";
import { eventId, identityOf } from "./identity.ts";
import { HEADER } from "./names.ts";
import { parseOrigin } from "./origin.ts";
import { parseLogPosition } from "./reign.ts";
import { parseEventSubject } from "./subjects.ts";

/**
 * An event in the JSON format of CloudEvents 1.0. `id` and `source` name it for ever; what is particular to cim is in
 * extension attributes, whose names may only be lower-case letters and digits.
 */
export interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  /** `/cim/<node>`: its origin. */
  readonly source: string;
  readonly type: string;
  /** As it was published, `cim.events.…`. */
  readonly subject: string;
  /** When its origin stored it. */
  readonly time: string;
  readonly datacontenttype?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  readonly cimdomain: string;
  readonly cimaggregate?: string;
  /** Its place in the log, `<epoch>-<reign>.<index>`. */
  readonly cimlog?: string;
  /** `<node> <incarnation> <lane> <sequence>`. */
  readonly cimorigin?: string;
  readonly correlationid: string;
  readonly causationid: string;
  readonly [extension: string]: unknown;
}

/** What a log, a copy or an outbox stores of an event, read. */
export interface ReadEvent {
  readonly domain: string;
  readonly aggregate?: string;
  readonly type: string;
  /** The node it was written on. */
  readonly origin: string;
  readonly id: string;
  /** Its index in the log; undefined in an outbox. */
  readonly index: number | undefined;
  /** When its origin stored it, µs since the epoch. */
  readonly appendedUs: number;
  /** When the sequencer took it, µs since the epoch by its clock; undefined in an outbox. */
  readonly ingestedUs: number | undefined;
  readonly message: StoredMessage;
}

/** Reads a stored event; undefined for what is none, as control records. Pure. */
export function readEvent(message: StoredMessage, node: string): ReadEvent | undefined {
  const address = parseEventSubject(message.subject);
  if (!address) return undefined;
  const header = (name: string) => headerValue(message.headerText, name);
  const [appended, ingested] = (header(HEADER.time) ?? "").split(" ");
  const origin = parseOrigin(header(HEADER.origin));
  const here = { node: origin?.node ?? node, seq: origin?.seq ?? message.seq };
  return {
    ...address,
    origin: here.node,
    id: header(HEADER.id) ?? eventId(here, message.timeUs, message.headerText, message.body),
    index: parseLogPosition(header(HEADER.log))?.index,
    appendedUs: Number(appended) || message.timeUs,
    ingestedUs: Number(ingested) || undefined,
    message,
  };
}

/** Headers that have an attribute of their own. */
const ATTRIBUTES = new Map<string, string>([
  [HEADER.log, "cimlog"],
  [HEADER.origin, "cimorigin"],
  [HEADER.clock, "cimclock"],
]);
const SAID_OTHERWISE: ReadonlySet<string> = new Set([
  HEADER.id,
  HEADER.time,
  HEADER.correlation,
  HEADER.causation,
]);

export function cloudEvent(event: ReadEvent): CloudEvent {
  const { message, id, origin, domain, aggregate, type } = event;
  const { correlationId, causationId } = identityOf(message.headerText, id);
  const extensions: Record<string, string> = {};
  // `Nats-*` are the server's own.
  for (const [name, value] of headerEntries(carriedLogHeaders(message.headerText))) {
    if (SAID_OTHERWISE.has(name)) continue;
    extensions[ATTRIBUTES.get(name) ?? name.toLowerCase().replaceAll(/[^a-z0-9]/g, "")] = value;
  }
  return {
    // First, so that no header can stand for an attribute.
    ...extensions,
    specversion: "1.0",
    id,
    source: `/cim/${origin}`,
    type,
    subject: message.subject,
    time: new Date(event.appendedUs / 1000).toISOString(),
    cimdomain: domain,
    ...(aggregate !== undefined && { cimaggregate: aggregate }),
    correlationid: correlationId,
    causationid: causationId,
    ...content(message.body),
  };
}

function content(body: Uint8Array): Pick<CloudEvent, "data" | "data_base64" | "datacontenttype"> {
  if (body.byteLength === 0) return {};
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return { datacontenttype: "application/json", data: JSON.parse(text) as unknown };
  } catch {
    return { data_base64: Buffer.from(body).toString("base64") };
  }
}
