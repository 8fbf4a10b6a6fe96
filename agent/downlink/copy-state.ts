import type { NatsConnection } from "@nats-io/transport-node";
import { positionOf } from "../../shared/follow/read-history.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { type CopyRecord, copyRecord } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
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
  const stored = await getMessage(nc, STREAM.events, { last_by_subj: controlRecordSubject("copy") });
  const record = stored && copyRecord.parse(JSON.parse(Buffer.from(stored.body).toString("utf8")));
  // Not by the last sequence: what was deleted behind it leaves the numbering as it was.
  const last = await getMessage(nc, STREAM.events, { last_by_subj: SUBJECT.allEvents });
  return { record, position: positionOf(last) ?? record?.at ?? undefined };
}

export function copyRecordMessage(record: CopyRecord): OutgoingMessage {
  return {
    subject: controlRecordPublishSubject("copy"),
    headerText: "",
    body: Buffer.from(JSON.stringify(record)),
  };
}
