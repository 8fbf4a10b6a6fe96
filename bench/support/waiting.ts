import { connect as dial } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { getMessage } from "../../shared/nats/get-message.ts";
import { STREAM } from "../../shared/protocol/names.ts";

/** Waits until a message of that subject can be read from a node's log or copy; gives the time it was first seen. */
export async function readableAt(
  nc: NatsConnection,
  subject: string,
  options: { readonly timeoutMs: number; readonly everyMs?: number; readonly stream?: string },
): Promise<number> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const found = await getMessage(
      nc,
      options.stream ?? STREAM.events,
      { last_by_subj: subject },
      { timeoutMs: 250 },
    ).catch(() => undefined);
    const nowMs = performance.now();
    if (found) return nowMs;
    if (nowMs > deadline) throw new Error(`${subject} did not come within ${options.timeoutMs / 1000} s`);
    await sleep(options.everyMs ?? 2);
  }
}

/** Waits until a port takes TCP connections; gives the time. */
export async function acceptsAt(port: number, timeoutMs = 60_000): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await accepts(port)) return performance.now();
    await sleep(2);
  }
  throw new Error(`nothing accepts connections at port ${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial({ host: "127.0.0.1", port });
    const say = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => say(true));
    socket.once("error", () => say(false));
  });
}
