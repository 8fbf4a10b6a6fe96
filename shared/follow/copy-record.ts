import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../nats/get-message.ts";
import type { ApiOptions } from "../nats/jetstream-api.ts";
import { type CopyRecord, copyRecord } from "../protocol/control-records.ts";
import { STREAM } from "../protocol/names.ts";
import { controlRecordSubject } from "../protocol/subjects.ts";

/** What a copy says of the domains it holds; undefined: it has said nothing, as the log on a hub. */
export async function readCopyRecord(
  nc: NatsConnection,
  options: ApiOptions = {},
): Promise<CopyRecord | undefined> {
  const query = { last_by_subj: controlRecordSubject("copy") };
  const stored = await getMessage(nc, STREAM.events, query, options);
  return stored && copyRecord.parse(JSON.parse(Buffer.from(stored.body).toString("utf8")));
}
