import { type NatsConnection, nuid } from "@nats-io/transport-node";
import { jetStreamApi } from "./jetstream-api.ts";

/** How many messages of these subjects (none: all) a stream has from a sequence on, counted by its server. */
export async function countMessages(
  nc: NatsConnection,
  stream: string,
  startSeq: number,
  filters: readonly string[],
): Promise<number> {
  const name = `count-${nuid.next()}`;
  const config = {
    name,
    ack_policy: "none",
    deliver_policy: "by_start_sequence",
    opt_start_seq: Math.max(1, startSeq),
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: 5_000_000_000,
    ...(filters.length > 0 && { filter_subjects: filters }),
  };
  const body = { stream_name: stream, config, action: "create" };
  const { num_pending } = await jetStreamApi<{ num_pending: number }>(
    nc,
    `CONSUMER.CREATE.${stream}.${name}`,
    body,
  );
  await jetStreamApi(nc, `CONSUMER.DELETE.${stream}.${name}`, undefined);
  return num_pending;
}
