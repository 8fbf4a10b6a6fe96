import type { Msg, NatsConnection, Payload, RequestOptions } from "@nats-io/transport-node";
import { ConnectionLost, isDown, onceLost } from "./connection-lost.ts";

/**
 * A request that ends with its connection. The client leaves one that was sent before to its time-out, and loses one that is
 * sent while it reconnects: both would wait for seconds for an answer that can't come, in the very moment in which
 * everything is to begin again.
 * @throws {ConnectionLost}, or the client's errors: nobody listens, no answer within `timeout`
 */
export function liveRequest(
  nc: NatsConnection,
  subject: string,
  payload: Payload,
  options: RequestOptions,
): Promise<Msg> {
  if (isDown(nc)) return Promise.reject(new ConnectionLost("the connection is down"));
  return new Promise((resolve, reject) => {
    const forget = onceLost(nc, () => reject(new ConnectionLost("the connection was lost")));
    nc.request(subject, payload, options).then(resolve, reject).finally(forget);
  });
}
