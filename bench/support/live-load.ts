import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LabNode } from "../../lab/lab-node.ts";
import { type CimClient, connectCim } from "../../shared/client/connect-cim.ts";
import { ReaderBroken, StreamReader } from "../../shared/nats/stream-reader.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { domainFilter } from "../../shared/protocol/subjects.ts";
import { benchEvent, numberOf } from "./events.ts";

/** When each event of a live load was begun, acknowledged and read, ms; NaN: not yet. By its number. */
export interface LiveTimes {
  readonly begunMs: Float64Array;
  readonly ackedMs: Float64Array;
  readonly readMs: Float64Array;
}

export function liveTimes(count: number): LiveTimes {
  const blank = () => new Float64Array(count).fill(Number.NaN);
  return { begunMs: blank(), ackedMs: blank(), readMs: blank() };
}

/** Appends numbered events at a steady rate with a group-committing client; the clock, not the answers, sets the pace. */
export async function appendSteadily(
  leaf: LabNode,
  times: LiveTimes,
  options: { readonly ratePerS: number; readonly from: number; readonly to: number; readonly domain: string },
): Promise<void> {
  await using cim: CimClient = await connectCim({ url: leaf.natsUrl, timeoutMs: 30_000 });
  const { ratePerS, from, to, domain } = options;
  const acked: Promise<void>[] = [];
  const startMs = performance.now();
  for (let n = from; n < to; ) {
    const due = from + Math.floor(((performance.now() - startMs) / 1000) * ratePerS) + 1;
    for (; n < Math.min(due, to); n++) acked.push(appendOne(cim, times, n, domain));
    await sleep(1);
  }
  await Promise.all(acked);
}

async function appendOne(cim: CimClient, times: LiveTimes, n: number, domain: string): Promise<void> {
  const event = benchEvent(n, domain);
  times.begunMs[n] = performance.now();
  await cim.append(event);
  times.ackedMs[n] = performance.now();
}

/** Reads a domain of the hub's log live and notes when each event came. Resolves when all are here. */
export class LiveReader implements AsyncDisposable {
  readonly #reader: StreamReader;
  readonly #times: LiveTimes;
  read = 0;

  private constructor(reader: StreamReader, times: LiveTimes) {
    this.#reader = reader;
    this.#times = times;
  }

  static async start(nc: NatsConnection, domain: string, times: LiveTimes): Promise<LiveReader> {
    const filters = [domainFilter(domain)];
    const reader = await new StreamReader({ nc, stream: STREAM.events, startSeq: 1, filters }).start();
    return new LiveReader(reader, times);
  }

  /** Until so many are read, or nothing came for `quietMs`. */
  async readAll(count: number, quietMs = 60_000): Promise<void> {
    const timer = setInterval(() => {
      if (performance.now() - lastMs > quietMs) this.#reader.break("nothing came any more");
    }, 1000);
    let lastMs = performance.now();
    try {
      while (this.read < count) {
        const messages = await this.#reader.next();
        lastMs = performance.now();
        for (const { body } of messages) this.#times.readMs[numberOf(body)] = lastMs;
        this.read += messages.length;
      }
    } catch (error) {
      if (!(error instanceof ReaderBroken)) throw error;
    } finally {
      clearInterval(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
  }
}

/** Differences of two of the times, of the events that have both, from event `from` on. */
export function differences(later: Float64Array, earlier: Float64Array, from = 0): number[] {
  const found: number[] = [];
  for (let n = from; n < later.length; n++) {
    const ms = (later[n] as number) - (earlier[n] as number);
    if (Number.isFinite(ms)) found.push(ms);
  }
  return found;
}
