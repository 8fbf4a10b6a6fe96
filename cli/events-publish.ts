import type { Command } from "commander";
import { type Appended, connectCim, EventRejected } from "../shared/client/connect-cim.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { type AppendedMany, appendMany } from "./append-many.ts";
import { CommandFailure } from "./failure.ts";
import { findNode, withNodeOptions } from "./find-fleet.ts";
import { Interruption } from "./interruption.ts";
import { readData } from "./json-data.ts";
import type { ConnectionOptions } from "./node-connection.ts";
import { positiveNumber, wholeNumber } from "./number-option.ts";
import { Progress } from "./progress.ts";
import { countWords, durationWords } from "./quantity-words.ts";
import { userOf, withUserOptions } from "./user-options.ts";

type PublishOptions = ConnectionOptions & { data?: string; count?: string; rate?: string; json?: boolean };

export function registerEventsPublish(events: Command): void {
  withUserOptions(withNodeOptions(events.command("publish <domain> <aggregate> <type>")))
    .summary("append an event to a node's outbox, or many")
    .description("Appends an event to a node's outbox, or many; returns when they are synced there.")
    .option("--data <json>", "the body; - reads it from stdin")
    .option("--count <n>", "so many events of this kind")
    .option("--rate <n>", "so many per second (default: as fast as it goes)")
    .option("--json", "print the result as one JSON document")
    .action(publish);
}

async function publish(
  domain: string,
  aggregate: string,
  type: string,
  options: PublishOptions,
): Promise<void> {
  const count = options.count === undefined ? 1 : wholeNumber(options.count, "--count");
  const rate = options.rate === undefined ? undefined : positiveNumber(options.rate, "--rate", "100");
  const data = await readData(options.data);
  const event = { domain, aggregate, type, ...(data !== undefined && { data }) };
  const { url } = await findNode(options);
  using interruption = new Interruption();
  await using client = await connectCim({
    url,
    name: "cim events publish",
    ...userOf(options),
  });
  const progress = new Progress("acknowledged", count);
  const result = await appendMany({
    client,
    event,
    count,
    rate,
    signal: interruption.signal,
    onAcknowledged: (total) => {
      progress.done = total;
    },
  });
  progress[Symbol.dispose]();
  const { acknowledged, failure } = result;
  if (count === 1 && failure !== undefined) throw asFailure(failure, "");
  const report = options.json ? document : words;
  if (options.json || acknowledged > 0) {
    process.stdout.write(`${report({ node: client.node, count, seconds: progress.seconds, ...result })}\n`);
  }
  const soFar = `${countWords(acknowledged)} of ${countWords(count)} were acknowledged`;
  if (failure !== undefined) throw asFailure(failure, `${soFar}, then: `);
  if (interruption.exitCode === undefined || acknowledged === count) return;
  process.stderr.write(`cim: interrupted: ${soFar}\n`);
  process.exitCode = interruption.exitCode;
}

type Report = AppendedMany & { readonly node: string; readonly count: number; readonly seconds: number };

function words({ node, acknowledged, first, last, seconds }: Report): string {
  if (last?.version !== undefined) return committedWords(node, acknowledged, last, seconds);
  if (acknowledged === 1) return `${node}: event ${countWords(last?.seq ?? 0)} of its outbox, id ${last?.id}`;
  const rate = countWords(Math.round(acknowledged / seconds));
  const range = `${countWords(first?.seq ?? 0)} to ${countWords(last?.seq ?? 0)} of its outbox`;
  return `${node}: ${countWords(acknowledged)} events in ${durationWords(seconds)}, ${rate}/s; ${range}`;
}

function committedWords(node: string, acknowledged: number, last: Appended, seconds: number): string {
  const now = `its aggregate is at version ${last.version} now`;
  if (acknowledged === 1) return `${node}: committed by the hub, ${now}, id ${last.id}`;
  const rate = countWords(Math.round(acknowledged / seconds));
  return `${node}: ${countWords(acknowledged)} events committed by the hub in ${durationWords(seconds)}, ${rate}/s; ${now}`;
}

function document({ node, count, acknowledged, first, last, seconds }: Report): string {
  const place = (event: typeof first) =>
    event
      ? { seq: event.seq, id: event.id, ...(event.version !== undefined && { version: event.version }) }
      : null;
  const perSecond = Math.round(acknowledged / seconds);
  return JSON.stringify({
    node,
    count,
    acknowledged,
    first: place(first),
    last: place(last),
    seconds,
    perSecond,
  });
}

/** What the event itself is wrong in, the user can mend: usage. */
function asFailure(error: unknown, before: string): CommandFailure {
  const text = before + errorText(error);
  return new CommandFailure(text, error instanceof EventRejected ? 2 : 1, { cause: error });
}
