import type { NatsConnection } from "@nats-io/transport-node";
import { readCopyRecord } from "../../shared/follow/copy-record.ts";
import { beginsReign, positionOf, readReignHistory } from "../../shared/follow/read-history.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { type CopyRecord, copyRecord, readRecord } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { type LogPosition, sameReign } from "../../shared/protocol/reign.ts";
import {
  controlRecordPublishSubject,
  controlRecordSubject,
  SUBJECT,
} from "../../shared/protocol/subjects.ts";

/** What a copy says of itself. */
export interface CopyState {
  /** undefined: it was never written. */
  readonly record: CopyRecord | undefined;
  /** Where following the live domains stands. */
  readonly position: LogPosition | undefined;
}

/**
 * Reads a copy's position from the copy alone. Behind its newest record there is only what following wrote, for whatever
 * fills in a domain puts a record at its end; so the last message says it, or else the record.
 */
export async function readCopyState(nc: NatsConnection): Promise<CopyState> {
  const state = await streamState(nc, STREAM.events);
  if (state.messages === 0) return { record: undefined, position: undefined };
  const record = await readCopyRecord(nc);
  // Not by the last sequence: what was deleted behind it leaves the numbering as it was.
  const last = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents });
  return { record, position: positionOf(last) ?? record?.at ?? undefined };
}

/**
 * Takes out what stands at the copy's end and is no daemon's: an answer that somebody had sent there. Nothing of the copy
 * is behind it, as the writer expects the end that it knows. Gives the subjects, the newest first.
 */
export async function removeForeignEnd(nc: NatsConnection, inboxPrefix: string): Promise<string[]> {
  const removed: string[] = [];
  for (;;) {
    const last = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents });
    if (!last || isCopyRecord(last) || (await isOfNewestReign(nc, inboxPrefix, last))) return removed;
    await jetStreamApi(nc, `STREAM.MSG.DELETE.${STREAM.events}`, { seq: last.seq, no_erase: true });
    removed.push(last.subject);
  }
}

/** Following never writes a message of a reign before that reign's record, unless the copy begins within it. */
async function isOfNewestReign(
  nc: NatsConnection,
  inboxPrefix: string,
  last: StoredMessage,
): Promise<boolean> {
  const position = positionOf(last);
  if (!position) return false;
  const record = await getMessage(nc, STREAM.events, { last_by_subj: controlRecordSubject("reign") });
  const newest = record && beginsReign(record) ? positionOf(record)?.reign : undefined;
  if (newest && sameReign(newest, position.reign)) return true;
  // What stands on that subject may be foreign too, or the copy has no such record.
  const { reigns } = await readReignHistory({ nc, inboxPrefix });
  const known = reigns.at(-1)?.reign;
  return known !== undefined && sameReign(known, position.reign);
}

function isCopyRecord(message: StoredMessage): boolean {
  return message.subject === controlRecordSubject("copy") && readRecord(copyRecord, message) !== undefined;
}

export function copyRecordMessage(record: CopyRecord): OutgoingMessage {
  return {
    subject: controlRecordPublishSubject("copy"),
    headerText: "",
    body: Buffer.from(JSON.stringify(record)),
  };
}
