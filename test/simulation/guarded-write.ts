import type { OutgoingMessage, WriteExpectation, WriteResult } from "../../shared/nats/batch-publisher.ts";
import { delayMs, type Environment } from "./environment.ts";
import type { SimStream } from "./sim-stream.ts";

export const WRITE_TIMEOUT_MS = 120;

/**
 * A write over a connection: it arrives after a while, is judged then, and the answer takes its time too. In bad weather
 * the writer hears nothing, and what came of it is any of the things that can come of it. `gone`: the server restarted.
 */
export function guardedWrite(
  env: Environment,
  stream: SimStream,
  messages: readonly OutgoingMessage[],
  expect: WriteExpectation,
  gone: () => boolean,
  answer: (result: WriteResult) => void,
): void {
  const { scheduler, random, weather } = env;
  const store = (prefix?: number) => stream.write(messages, expect, scheduler.nowMs * 1000, prefix);
  const unknown = (why: string) =>
    scheduler.after(WRITE_TIMEOUT_MS, () => answer({ kind: "unknown", reason: why }));
  if (random.chance(weather.unknownWrites)) {
    const fate = random.pick(["never", "stored", "late", "prefix"]);
    env.trace(() => `  a write of ${messages.length} will be ${fate}, its answer is lost`);
    unknown(fate);
    if (fate === "never") return;
    const afterMs = fate === "late" ? WRITE_TIMEOUT_MS + random.between(1, 200) : delayMs(env);
    const prefix = fate === "prefix" ? random.between(0, messages.length) : messages.length;
    scheduler.after(afterMs, () => {
      if (!gone()) store(prefix);
    });
    return;
  }
  scheduler.after(delayMs(env), () => {
    if (gone()) {
      unknown("the server is gone");
      return;
    }
    const result = store();
    scheduler.after(delayMs(env), () => answer(result));
  });
}
