import { StreamReader } from "../shared/nats/stream-reader.ts";
import { readEvent } from "../shared/protocol/cloud-event.ts";
import { identityOf } from "../shared/protocol/identity.ts";
import { STREAM } from "../shared/protocol/names.ts";
import type { TracedEvent } from "./causation-tree.ts";
import { isMeant } from "./event-words.ts";
import { CommandFailure, usage } from "./failure.ts";
import type { NodeConnection } from "./node-connection.ts";

export interface FindCorrelation {
  readonly node: NodeConnection;
  /** A correlation or an event's id, or the end of one. */
  readonly written: string;
  /** The log's stretch that is looked through, by this node's sequences, both included. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly signal: AbortSignal;
  readonly onMessages: (count: number) => void;
}

export interface FoundCorrelation {
  readonly correlationId: string;
  readonly events: readonly TracedEvent[];
  /** As far back as was looked. */
  readonly lookedFromSeq: number;
  readonly looked: number;
  /** There are more, older ones. */
  readonly truncated: boolean;
}

const FIRST_STRETCH = 5_000;
/** More than anybody reads, and little memory. */
const MOST_EVENTS = 10_000;
/** Each of these looks through all of it again. */
const STRAY_ROUNDS = 3;

/**
 * Looks for a chain of causation from the log's end backwards, in stretches that grow: what is looked for is mostly young.
 * Ends early when the chain's root and every cause in it are there, as effects stand behind their causes in the log.
 * Undefined: nothing of it is there.
 */
export async function findCorrelation(find: FindCorrelation): Promise<FoundCorrelation | undefined> {
  let correlationId: string | undefined;
  let lastSeq = find.lastSeq;
  let passedOver = 0;
  for await (const { events, lookedToSeq, looked } of stretches(find, (event) => isOf(event, find.written))) {
    correlationId = theOne(events, find.written);
    // Where it is the correlation that was written, there is nothing of it behind this stretch.
    if (correlationId !== undefined && isMeant(correlationId, find.written)) lastSeq = lookedToSeq;
    if (correlationId !== undefined) break;
    passedOver = looked;
  }
  if (correlationId === undefined) return undefined;
  if (lastSeq === find.lastSeq) passedOver = 0;
  const wanted = correlationId;
  const found: TracedEvent[] = [];
  const ids = new Set<string>();
  const missing = new Set<string>();
  let last = { lookedFromSeq: lastSeq + 1, looked: 0 };
  let truncated = false;
  const take = (events: readonly TracedEvent[]) => {
    for (const event of events) ids.add(event.id);
    for (const { causationId } of events) missing.add(causationId);
    for (const id of ids) missing.delete(id);
    found.unshift(...events);
    truncated = found.length > MOST_EVENTS;
  };
  for await (const stretch of stretches({ ...find, lastSeq }, (event) => event.correlationId === wanted)) {
    last = stretch;
    take(stretch.events);
    if (truncated || (missing.size === 0 && ids.has(wanted))) break;
  }
  // A cause has another correlation when a program forgot to hand it on; and so may its cause.
  for (let round = 0, before = -1; round < STRAY_ROUNDS && found.length > before; round++) {
    before = found.length;
    if (missing.size === 0 || truncated) break;
    for await (const { events } of stretches({ ...find, lastSeq }, ({ id }) => missing.has(id))) {
      take(events);
      if (missing.size === 0 || truncated) break;
    }
  }
  const { lookedFromSeq } = last;
  const looked = passedOver + last.looked;
  return { correlationId, events: found.slice(-MOST_EVENTS), lookedFromSeq, looked, truncated };
}

function isOf({ id, correlationId, causationId }: TracedEvent, written: string): boolean {
  return isMeant(id, written) || isMeant(correlationId, written) || isMeant(causationId, written);
}

/** The correlation that is meant. @throws CommandFailure when the end of an id is that of several */
function theOne(events: readonly TracedEvent[], written: string): string | undefined {
  if (events.some(({ correlationId }) => correlationId === written)) return written;
  const exact = events.filter(({ id }) => id === written);
  const of = new Set((exact.length > 0 ? exact : events).map(({ correlationId }) => correlationId));
  if (of.size > 1) {
    const some = [...of].slice(0, 3).join(", ");
    throw usage(
      `events trace: "${written}" is of ${of.size} chains; write one of ${some}${of.size > 3 ? ", …" : ""}`,
    );
  }
  return [...of][0];
}

interface Stretch {
  readonly events: readonly TracedEvent[];
  readonly lookedFromSeq: number;
  readonly lookedToSeq: number;
  /** Messages so far. */
  readonly looked: number;
}

async function* stretches(
  { node, firstSeq, lastSeq, signal, onMessages }: FindCorrelation,
  wanted: (event: TracedEvent) => boolean,
): AsyncGenerator<Stretch> {
  let looked = 0;
  let size = FIRST_STRETCH;
  for (let end = lastSeq; end >= firstSeq && !signal.aborted; end -= size, size *= 3) {
    const start = Math.max(firstSeq, end - size + 1);
    const events: TracedEvent[] = [];
    await using reader = await new StreamReader({
      nc: node.nc,
      stream: STREAM.events,
      startSeq: start,
      headersOnly: true,
    }).start();
    const stop = () => reader.break("ended");
    const unwatch = node.watch.onChange(() => reader.break("the connection was lost"));
    signal.addEventListener("abort", stop);
    try {
      for await (const messages of reader.backlog(end)) {
        looked += messages.length;
        onMessages(messages.length);
        for (const message of messages) {
          const read = readEvent(message, node.node);
          if (!read) continue;
          const { domain, aggregate, type, origin, index, appendedUs } = read;
          const identity = identityOf(message.headerText, read.id);
          const event = { ...identity, domain, aggregate, type, origin, index, appendedUs };
          if (wanted(event)) events.push(event);
          if (events.length > MOST_EVENTS) events.shift();
        }
      }
    } catch (cause) {
      if (signal.aborted) return;
      throw new CommandFailure(`the search broke off: ${cause instanceof Error ? cause.message : cause}`, 1, {
        cause,
      });
    } finally {
      signal.removeEventListener("abort", stop);
      unwatch();
    }
    yield { events, lookedFromSeq: start, lookedToSeq: end, looked };
  }
}
