import type { NatsConnection } from "@nats-io/transport-node";
import type * as z from "zod";
import { MAX_BATCH_MESSAGES, type OutgoingMessage, writeGuarded } from "../../shared/nats/batch-publisher.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import { StreamReader } from "../../shared/nats/stream-reader.ts";
import { readRecord } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import { conflictSubject, resolutionSubject } from "../../shared/protocol/subjects.ts";
import {
  type ConflictRecord,
  conflictRecord,
  indexOfConflict,
  type JournalledConflict,
  type ResolutionRecord,
  resolutionRecord,
} from "./conflict-record.ts";

/** The journal does not take writes now; whoever folds the log tries again. */
export class JournalUnwritable extends Error {
  override readonly name = "JournalUnwritable";
}

/** Which conflicts are asked for. */
export interface ConflictFilter {
  readonly domain?: string;
  readonly aggregate?: string;
  /** How many at most, the newest. */
  readonly limit: number;
}

/** The server holds a batch in memory until it is committed. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * The stream of conflicts at the hub. A conflict has one message, named by the place in the log where it showed: written
 * again, as when the log is folded again, it replaces itself.
 */
export class ConflictJournal {
  readonly #nc: () => NatsConnection;
  readonly #inboxPrefix: string;

  constructor(init: { readonly nc: () => NatsConnection; readonly inboxPrefix: string }) {
    this.#nc = init.nc;
    this.#inboxPrefix = init.inboxPrefix;
  }

  /** Resolves when they are synced. @throws {JournalUnwritable} some may not be */
  async write(conflicts: readonly ConflictRecord[]): Promise<void> {
    await this.#write(
      conflicts.map((one) => ({
        subject: conflictSubject(one.id, `${one.domain}.${one.aggregate}`),
        headerText: "",
        body: Buffer.from(JSON.stringify(one)),
      })),
    );
  }

  /** The same of what was done about conflicts. */
  async writeResolutions(of: readonly { readonly aggregate: string; readonly done: ResolutionRecord }[]) {
    await this.#write(
      of.map(({ aggregate, done }) => ({
        subject: resolutionSubject(done.id, aggregate),
        headerText: "",
        body: Buffer.from(JSON.stringify(done)),
      })),
    );
  }

  /** The newest conflicts that fit, the newest first. */
  async list(filter: ConflictFilter): Promise<JournalledConflict[]> {
    const of = filterOf(filter);
    const found = await this.#newest(conflictSubject("*.*", of), filter.limit);
    const done = new Map<string, ResolutionRecord>();
    for (const one of recordsOf(resolutionRecord, await this.#newest(resolutionSubject("*.*", of))))
      done.set(one.id, one);
    return recordsOf(conflictRecord, found)
      .map((one) => ({ ...one, resolution: done.get(one.id) ?? null }))
      .sort((a, b) => compareIds(b.id, a.id));
  }

  /** One conflict; undefined: the journal has none of that id, or no longer. */
  async find(id: string): Promise<JournalledConflict | undefined> {
    const record = await this.#last(conflictRecord, conflictSubject(id, ">"));
    if (!record) return undefined;
    const resolution = await this.#last(resolutionRecord, resolutionSubject(id, ">"));
    return { ...record, resolution: resolution ?? null };
  }

  /** The newest that was done about any conflict. */
  async newestResolution(): Promise<ResolutionRecord | undefined> {
    return await this.#last(resolutionRecord, resolutionSubject("*.*", ">"));
  }

  /** The highest index of the log at which a conflict was written; 0: none was. */
  async highestIndex(): Promise<number> {
    const record = await this.#last(conflictRecord, conflictSubject("*.*", ">"));
    return record ? indexOfConflict(record.id) : 0;
  }

  async #last<T>(kind: z.ZodType<T>, subject: string): Promise<T | undefined> {
    const options = { timeoutMs: TIMEOUT_MS };
    const message = await getMessage(this.#nc(), STREAM.conflicts, { last_by_subj: subject }, options);
    return message && readRecord(kind, message);
  }

  /** The newest messages of a subject. Streams are read forwards, so it begins not far from the end and then further back. */
  async #newest(subject: string, limit = Number.POSITIVE_INFINITY): Promise<StoredMessage[]> {
    const { first_seq: first, last_seq: last } = await streamState(this.#nc(), STREAM.conflicts, {
      timeoutMs: TIMEOUT_MS,
    });
    for (let window = limit * 4; ; window *= 8) {
      const from = Math.max(first, last - window, 1);
      const found: StoredMessage[] = [];
      await using reader = await new StreamReader({
        nc: this.#nc(),
        stream: STREAM.conflicts,
        startSeq: from,
        filters: [subject],
        inboxPrefix: this.#inboxPrefix,
        timeoutMs: TIMEOUT_MS,
      }).start();
      for await (const messages of reader.backlog(last)) {
        found.push(...messages);
        if (found.length > limit) found.splice(0, found.length - limit);
      }
      if (found.length >= limit || from <= Math.max(first, 1)) return found;
    }
  }

  async #write(messages: readonly OutgoingMessage[]): Promise<void> {
    for (const batch of batchesOf(messages)) {
      const result = await writeGuarded(this.#nc(), batch, {});
      if (result.kind === "stored") continue;
      throw new JournalUnwritable(`${STREAM.conflicts} does not take it: ${result.reason}`);
    }
  }
}

function filterOf({ domain, aggregate }: Omit<ConflictFilter, "limit">): string {
  if (domain === undefined) return ">";
  return `${domain}.${aggregate ?? ">"}`;
}

function recordsOf<T>(kind: z.ZodType<T>, messages: readonly StoredMessage[]): T[] {
  return messages.map((message) => readRecord(kind, message)).filter((one) => one !== undefined);
}

function compareIds(a: string, b: string): number {
  const [indexA, nA] = a.split(".").map(Number) as [number, number];
  const [indexB, nB] = b.split(".").map(Number) as [number, number];
  return indexA - indexB || nA - nB;
}

/** In order, each no larger than one batch should be. Pure. */
export function batchesOf(messages: readonly OutgoingMessage[]): OutgoingMessage[][] {
  const batches: OutgoingMessage[][] = [];
  let bytes = 0;
  for (const message of messages) {
    const batch = batches.at(-1);
    bytes += message.body.byteLength;
    if (batch && batch.length < MAX_BATCH_MESSAGES && bytes <= MAX_BATCH_BYTES) batch.push(message);
    else {
      batches.push([message]);
      bytes = message.body.byteLength;
    }
  }
  return batches;
}
