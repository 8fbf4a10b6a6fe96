import { shippedFromLog, shippedFromOutbox } from "../../agent/uplink/own-events.ts";
import { isOnPath, ownPath, type PathSegment, wantedPrints } from "../../agent/uplink/own-path.ts";
import { laneRecord, readRecord, refusedRecord } from "../../shared/protocol/control-records.ts";
import type { ShippedEvent, StoredMessage } from "../../shared/protocol/event.ts";
import { headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { type LaneMark, printOf } from "../../shared/protocol/origin.ts";
import { parseLogPosition } from "../../shared/protocol/reign.ts";
import { controlRecordSubject } from "../../shared/protocol/subjects.ts";
import type { SimStream } from "./sim-stream.ts";

const LANE = controlRecordSubject("lane");
const REFUSED = controlRecordSubject("refused");

export type OwnMark = LaneMark & { readonly incarnation: number };

const isOfLog = ({ headerText }: StoredMessage): boolean =>
  parseLogPosition(headerValue(headerText, HEADER.log)) !== undefined;

/** A node's own event or refusal among the log's messages. */
export function ownMarkOf(node: string, message: StoredMessage): OwnMark | undefined {
  if (!isOfLog(message)) return undefined;
  if (message.subject === REFUSED) {
    const record = readRecord(refusedRecord, message);
    return record?.node === node ? record : undefined;
  }
  const event = shippedFromLog(node, message);
  return event && { seq: event.seq, print: printOf(event), incarnation: event.incarnation };
}

export function printOfLogged(node: string, message: StoredMessage): string | undefined {
  return ownMarkOf(node, message)?.print;
}

/** A node's own events in outbox and copy, as own-events.ts reads them from servers. */
export class OwnTrail {
  readonly #node: string;
  readonly #outbox: SimStream;
  readonly #copy: SimStream;

  constructor(node: string, outbox: SimStream, copy: SimStream) {
    this.#node = node;
    this.#outbox = outbox;
    this.#copy = copy;
  }

  shipped(message: StoredMessage): ShippedEvent {
    return shippedFromOutbox(this.#node, message);
  }

  find(seq: number, place: "outbox" | "copy"): LaneMark | undefined {
    if (place === "copy") return this.#copyMarks(seq - 1, seq)[0];
    const message = this.#outbox.get(seq);
    return message && { seq, print: printOf(this.shipped(message)) };
  }

  sample(after: number, upTo: number): LaneMark[] {
    const own = this.#outbox.messages
      .filter(({ seq }) => seq > after && seq <= upTo)
      .map((message) => ({ seq: message.seq, print: printOf(this.shipped(message)) }));
    return [...this.#copyMarks(after, Math.min(upTo, this.#outbox.firstSeq - 1)), ...own];
  }

  inCopy(after: number, before: number): ShippedEvent[] {
    const path = this.path();
    return this.#inLog().flatMap((message) => {
      const event = shippedFromLog(this.#node, message);
      if (!event || event.seq <= after || event.seq >= before) return [];
      return isOnPath(path, event.incarnation, event.seq) ? [event] : [];
    });
  }

  /** The way in the copy to the outbox's first event. Of an empty outbox nothing can be said. */
  path(): PathSegment[] {
    const starts = new Map<number, LaneMark>();
    const owned: OwnMark[] = [];
    for (const message of this.#inLog()) {
      if (message.subject === LANE) {
        const record = readRecord(laneRecord, message);
        if (record?.node === this.#node) starts.set(record.incarnation, record.common);
        continue;
      }
      const mark = ownMarkOf(this.#node, message);
      if (mark) owned.push(mark);
    }
    const first = this.#outbox.messages[0];
    const anchor = first ? { seq: first.seq, print: printOf(this.shipped(first)) } : undefined;
    if (!anchor) return [];
    const wanted = wantedPrints(starts, anchor);
    const owners = new Map(
      owned.filter(({ print }) => wanted.has(print)).map((mark) => [mark.print, mark.incarnation]),
    );
    return ownPath(starts, owners, anchor);
  }

  #inLog(): StoredMessage[] {
    return this.#copy.messages.filter((message) => isOfLog(message));
  }

  #copyMarks(after: number, upTo: number): LaneMark[] {
    if (upTo <= after) return [];
    const path = this.path();
    return this.#inLog().flatMap((message) => {
      const mark = ownMarkOf(this.#node, message);
      return mark && mark.seq > after && mark.seq <= upTo && isOnPath(path, mark.incarnation, mark.seq)
        ? [{ seq: mark.seq, print: mark.print }]
        : [];
    });
  }
}
