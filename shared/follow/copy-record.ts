import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import { type ApiOptions, jetStreamApi } from "../nats/jetstream-api.ts";
import { type CopyRecord, copyRecord, readRecord } from "../protocol/control-records.ts";
import { BUCKET, STREAM } from "../protocol/names.ts";
import { controlRecordSubject } from "../protocol/subjects.ts";

/** What a copy says of the domains it holds; undefined: it has said nothing, as the log on a hub. */
export async function readCopyRecord(
  nc: NatsConnection,
  options: ApiOptions = {},
): Promise<CopyRecord | undefined> {
  const query = { last_by_subj: controlRecordSubject("copy") };
  const stored = await getMessage(nc, STREAM.events, query, options);
  return stored && readRecord(copyRecord, stored);
}

const CONTROL_ENTRIES = `$KV.${BUCKET.control}.>`;

/** The log itself has every domain in one order. */
export const WHOLE_LOG: CopyRecord = { live: ["*"], at: null, filling: null };

/**
 * Whether a node's stream is the log itself: only a hub has the fleet's control records beside it. Asked by name, which
 * every program that reads may; not everyone may look at those records.
 */
export async function isLogItself(nc: NatsConnection): Promise<boolean> {
  const { streams } = await jetStreamApi<{ streams: string[] | null }>(nc, "STREAM.NAMES", {
    subject: CONTROL_ENTRIES,
  });
  return streams?.includes(STREAM.control) ?? false;
}
