import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import type { FenceRecord } from "../../shared/protocol/control-records.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";
import { headerLine, headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { formatOrigin, type Origin } from "../../shared/protocol/origin.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { formatLogPosition } from "../../shared/protocol/reign.ts";
import {
  type ControlKind,
  controlRecordPublishSubject,
  logPublishSubject,
} from "../../shared/protocol/subjects.ts";

/** An event as the log stores it: the body untouched, the publisher's headers and the log's own. */
export function eventEntry(
  event: ShippedEvent,
  origin: Origin,
  position: LogPosition,
  nowMs: number,
): OutgoingMessage {
  const from = formatOrigin(origin);
  let headerText =
    headerLine(HEADER.log, formatLogPosition(position)) +
    headerLine(HEADER.origin, from) +
    headerLine(HEADER.id, event.id) +
    headerLine(HEADER.time, `${event.timeUs} ${nowMs * 1000}`);
  if (event.headerText === "" || headerValue(event.headerText, HEADER.clock) === undefined) {
    headerText += headerLine(HEADER.clock, `${Math.floor(event.timeUs / 1000)}.0`);
  }
  return {
    subject: logPublishSubject(event.subject),
    headerText: headerText + event.headerText,
    body: event.body,
  };
}

export function controlEntry(kind: ControlKind, record: object, position: LogPosition): OutgoingMessage {
  return {
    subject: controlRecordPublishSubject(kind),
    headerText: headerLine(HEADER.log, formatLogPosition(position)),
    body: Buffer.from(JSON.stringify(record)),
  };
}

/** Opens a reign's fence or closes it. `subject`: as stored. */
export function fenceEntry(subject: string, record: FenceRecord, position: LogPosition): OutgoingMessage {
  return {
    subject: logPublishSubject(subject),
    headerText: headerLine(HEADER.log, formatLogPosition(position)),
    body: Buffer.from(JSON.stringify(record)),
  };
}
