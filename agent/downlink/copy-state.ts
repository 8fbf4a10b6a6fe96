import type { NatsConnection } from "@nats-io/transport-node";
import { readCopyRecord } from "../../shared/follow/copy-record.ts";
import { positionOf } from "../../shared/follow/read-history.ts";
import type { OutgoingMessage } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import type { CopyRecord } from "../../shared/protocol/control-records.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { controlRecordPublishSubject, SUBJECT } from "../../shared/protocol/subjects.ts";

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

export function copyRecordMessage(record: CopyRecord): OutgoingMessage {
  return {
    subject: controlRecordPublishSubject("copy"),
    headerText: "",
    body: Buffer.from(JSON.stringify(record)),
  };
}
