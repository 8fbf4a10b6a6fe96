import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { StreamReader } from "../shared/nats/stream-reader.ts";
import { cloudEvent, type ReadEvent, readEvent } from "../shared/protocol/cloud-event.ts";
import { STREAM } from "../shared/protocol/names.ts";
import { REPLAY_PREFIX } from "../shared/protocol/replay.ts";
import { eventFilters } from "./event-filter.ts";
import { EventLines } from "./event-line.ts";
import { CommandFailure, usage } from "./failure.ts";
import { withNodeOptions } from "./find-fleet.ts";
import { logState, seqAt } from "./find-in-log.ts";
import { Interruption } from "./interruption.ts";
import { type LogPlace, parseLogPlace } from "./log-place.ts";
import { type ConnectionOptions, connectNode, type NodeConnection } from "./node-connection.ts";
import { positiveNumber } from "./number-option.ts";
import { printLine, readerHasGone } from "./print-line.ts";
import { Progress } from "./progress.ts";
import { counted, countWords, durationWords } from "./quantity-words.ts";
import { ReplayTarget } from "./replay-target.ts";
import { withUserOptions } from "./user-options.ts";

type ReplayOptions = ConnectionOptions & {
  from: string;
  to: string;
  filter?: string;
  speed: string;
  into?: string;
  json?: boolean;
};

export function registerEventsReplay(events: Command): void {
  withUserOptions(withNodeOptions(events.command("replay")))
    .summary("tell a part of the log again: print it, or publish it elsewhere")
    .description(
      "Tells a part of the log again: prints it, or publishes it below another prefix, with its headers and Cim-Replay: 1.",
    )
    .requiredOption(
      "--from <place>",
      "first event: a number of the log, a time as 10:15 or 2h (ago), or start",
    )
    .requiredOption("--to <place>", "last event: a number of the log, a time, or now")
    .option("--filter <filter>", "only these: person, person.ada, person.*.PersonCreated")
    .option("--speed <x>", "1 as it happened, 10 ten times as fast, max without waiting", "max")
    .option(
      "--into <prefix>",
      `publish below this subject prefix, as ${REPLAY_PREFIX}.test, and print a summary`,
    )
    .option(
      "--json",
      "print each event as one line of JSON, a CloudEvent; with --into the summary as one document",
    )
    .action(replay);
}

async function replay(options: ReplayOptions): Promise<void> {
  const nowMs = Date.now();
  const from = parseLogPlace(options.from, "--from", nowMs);
  const to = parseLogPlace(options.to, "--to", nowMs);
  if (isBefore(to, from))
    throw usage(`--to: ${options.to} is before --from ${options.from}; nothing is there`);
  const filters = eventFilters(options.filter, "--filter");
  const speed = parseSpeed(options.speed);
  const { into, json } = options;
  if (into !== undefined) ReplayTarget.check(into);
  using interruption = new Interruption();
  await using node = await connectNode(options, "cim events replay");
  const target = into === undefined ? undefined : await ReplayTarget.open(node.nc, into);
  const lines = new EventLines(process.stdout.isTTY ? process.stdout.columns : undefined);
  const progress = target && new Progress("replayed", undefined);
  let count = 0;
  try {
    const pace = new Pace(speed, interruption.signal);
    for await (const event of eventsBetween(node, from, to, filters, interruption.signal)) {
      await pace.wait(event.appendedUs);
      if (interruption.came) break;
      if (target) await target.publish(event.message);
      else await printLine(json ? JSON.stringify(cloudEvent(event)) : lines.line(event, Date.now()));
      count++;
      if (progress) progress.done = count;
    }
    await target?.end();
  } finally {
    progress?.[Symbol.dispose]();
  }
  if (target && progress) {
    const { seconds } = progress;
    const summary = { node: node.node, into, events: count, seconds, perSecond: Math.round(count / seconds) };
    const words = `${node.node}: ${counted(count, "event")} replayed into ${into} in ${durationWords(seconds)}, ${countWords(summary.perSecond)}/s`;
    process.stdout.write(`${json ? JSON.stringify(summary) : words}\n`);
  }
  // Whoever reads what is printed may have enough: that is no interruption.
  if (interruption.exitCode === undefined || readerHasGone()) return;
  process.stderr.write(`cim: interrupted after ${counted(count, "event")}\n`);
  process.exitCode = interruption.exitCode;
}

/** The events from one place to another, both included, as the log is now: it ends where the log ended at its start. */
async function* eventsBetween(
  node: NodeConnection,
  from: LogPlace,
  to: LogPlace,
  filters: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<ReadEvent> {
  const state = await logState(node.nc, node.node);
  const startSeq = await seqAt(node.nc, state, from);
  const endSeq = to.kind === "start" ? startSeq : await seqAt(node.nc, state, after(to));
  if (startSeq >= endSeq) return;
  await using reader = await new StreamReader({
    nc: node.nc,
    stream: STREAM.events,
    startSeq,
    filters,
  }).start();
  const end = () => reader.break("ended");
  const unwatch = node.watch.onChange(() => reader.break("the connection was lost"));
  signal.addEventListener("abort", end);
  try {
    for await (const messages of reader.backlog(endSeq - 1)) {
      for (const message of messages) {
        if (signal.aborted) return;
        const event = readEvent(message, node.node);
        if (event) yield event;
      }
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw new CommandFailure(`the replay broke off: ${cause instanceof Error ? cause.message : cause}`, 1, {
      cause,
    });
  } finally {
    signal.removeEventListener("abort", end);
    unwatch();
  }
}

function isBefore(one: LogPlace, other: LogPlace): boolean {
  if (one.kind === "index" && other.kind === "index") return one.index < other.index;
  return one.kind === "time" && other.kind === "time" && one.atMs < other.atMs;
}

/** The place behind the last one wanted. */
function after(to: LogPlace): LogPlace {
  if (to.kind === "index") return { kind: "index", index: to.index + 1 };
  return to.kind === "time" ? { kind: "time", atMs: to.atMs + 0.001 } : to;
}

function parseSpeed(text: string): number {
  return text === "max" ? 0 : positiveNumber(text, "--speed", "1, 10 or max");
}

const LONGEST_TIMER_MS = 3_600_000;

/** Keeps the distances in time that events had at their origins, divided by the speed; 0: does not wait. */
class Pace {
  readonly #speed: number;
  readonly #signal: AbortSignal;
  #started: { readonly us: number; readonly ms: number } | undefined;

  constructor(speed: number, signal: AbortSignal) {
    this.#speed = speed;
    this.#signal = signal;
  }

  /** An event of another origin may be older than the one before it in the log: then nothing is waited for. */
  async wait(appendedUs: number): Promise<void> {
    if (this.#speed === 0) return;
    this.#started ??= { us: appendedUs, ms: performance.now() };
    const dueMs = this.#started.ms + (appendedUs - this.#started.us) / 1000 / this.#speed;
    while (!this.#signal.aborted) {
      const waitMs = dueMs - performance.now();
      if (waitMs < 1) return;
      // A timer of more than 24 days would fire at once.
      await sleep(Math.min(waitMs, LONGEST_TIMER_MS), undefined, { signal: this.#signal }).catch(
        () => undefined,
      );
    }
  }
}
