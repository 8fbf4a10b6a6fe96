import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { headerLine } from "../protocol/headers.ts";
import { ConnectionLost, isDown } from "./connection-lost.ts";
import { liveRequest } from "./live-request.ts";
import { PublishFrames } from "./publish-frames.ts";
import { EncodedHeaders } from "./raw-message.ts";

/** A message to be written. `headerText`: lines `Name: value\r\n`, no `Nats-*` among them. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly headerText: string;
  readonly body: Uint8Array;
}

/** What must hold when the server commits; it judges then, so a writer that was overtaken can't write. */
export interface WriteExpectation {
  /** The stream's last sequence. */
  readonly lastSeq?: number;
  /** The newest message of that (stored) subject has that sequence. */
  readonly newest?: { readonly subject: string; readonly seq: number };
  /** Never only a prefix, however few they are. */
  readonly allOrNothing?: true;
}

export type WriteResult =
  /** `duplicate`: nothing new, the stream has the message's id at that sequence already. */
  | { readonly kind: "stored"; readonly lastSeq: number; readonly duplicate?: true }
  /** Nothing was stored. 10071: the expectation did not hold. */
  | { readonly kind: "refused"; readonly errCode: number; readonly reason: string }
  /** All, some or nothing was stored: read the stream again. */
  | {
      readonly kind: "unknown";
      readonly reason: string;
      readonly cause?: Error;
      /** Sequences of what was stored behind one that was not, as something else had taken just its place. */
      readonly strays?: readonly number[];
    };

export const WRONG_LAST_SEQUENCE = 10071;

/** JetStream's own bound on messages in one batch. */
export const MAX_BATCH_MESSAGES = 1000;

/**
 * Up to so many go as single publishes chained by their expected sequence, more as an atomic batch: a batch costs a
 * folder of its own and 2.6 ms here, a single synced publish 0.5 ms, and they cross near ten.
 */
const MAX_CHAINED = 8;

/** A slow disk's fsync may take seconds; the server itself abandons a batch after ten. */
const WRITE_TIMEOUT_MS = 10_000;

let batches = 0;
const RUN = `${process.pid.toString(36)}${Date.now().toString(36)}`;

/** Writes messages to one stream in order, guarded by expectations, all of them or a prefix. Not for concurrent use. */
export async function writeGuarded(
  nc: NatsConnection,
  messages: readonly OutgoingMessage[],
  expect: WriteExpectation,
  timeoutMs: number = WRITE_TIMEOUT_MS,
): Promise<WriteResult> {
  if (messages.length === 0 || messages.length > MAX_BATCH_MESSAGES) {
    throw new RangeError(`${messages.length} messages in one write`);
  }
  return messages.length === 1 || (messages.length <= MAX_CHAINED && !expect.allOrNothing)
    ? writeChained(nc, messages, expect, timeoutMs)
    : writeBatch(nc, messages, expect, timeoutMs);
}

/** Writes 2 to 1,000 messages as one atomic batch: all of them, in order and without others between them, or none. */
export async function writeAtomically(
  nc: NatsConnection,
  messages: readonly OutgoingMessage[],
  timeoutMs: number = WRITE_TIMEOUT_MS,
): Promise<WriteResult> {
  if (messages.length < 2 || messages.length > MAX_BATCH_MESSAGES) {
    throw new RangeError(`${messages.length} messages in one batch`);
  }
  return await writeBatch(nc, messages, {}, timeoutMs);
}

/** Writes one message, as it is. */
export async function writeOne(
  nc: NatsConnection,
  message: OutgoingMessage,
  timeoutMs: number = WRITE_TIMEOUT_MS,
): Promise<WriteResult> {
  return readAnswer(await request(nc, message, message.headerText, timeoutMs));
}

function expectationLines(expect: WriteExpectation, ahead = 0): string {
  let lines = "";
  if (expect.lastSeq !== undefined)
    lines += headerLine("Nats-Expected-Last-Sequence", expect.lastSeq + ahead);
  if (expect.newest) {
    lines += headerLine("Nats-Expected-Last-Subject-Sequence", expect.newest.seq);
    lines += headerLine("Nats-Expected-Last-Subject-Sequence-Subject", expect.newest.subject);
  }
  return lines;
}

async function writeChained(
  nc: NatsConnection,
  messages: readonly OutgoingMessage[],
  expect: WriteExpectation,
  timeoutMs: number,
): Promise<WriteResult> {
  // Each expects the one before, so one that fails fails all after it: what is stored is a prefix, unless something else
  // took the very place of the one that failed.
  const answers = await Promise.all(
    messages.map((message, i) =>
      request(nc, message, expectationLines(expect, i) + message.headerText, timeoutMs),
    ),
  );
  const results = answers.map((answer) => readAnswer(answer));
  const first = results[0] as WriteResult;
  const failedAt = results.findIndex((result) => result.kind !== "stored");
  const strays = results.flatMap((result, i) =>
    failedAt >= 0 && i > failedAt && result.kind === "stored" ? [result.lastSeq] : [],
  );
  if (strays.length > 0)
    return { kind: "unknown", reason: "stored behind what is not of this write", strays };
  if (first.kind !== "stored") return first;
  const failed = results.find((result) => result.kind !== "stored");
  if (failed) return { kind: "unknown", reason: `only part was stored: ${failed.reason}` };
  return results.at(-1) as WriteResult;
}

async function writeBatch(
  nc: NatsConnection,
  messages: readonly OutgoingMessage[],
  expect: WriteExpectation,
  timeoutMs: number,
): Promise<WriteResult> {
  if (isDown(nc)) return readAnswer(new ConnectionLost("the connection is down"));
  const id = headerLine("Nats-Batch-Id", `${RUN}-${batches++}`);
  const between = new PublishFrames(nc.info?.max_payload ?? Number.POSITIVE_INFINITY);
  for (let i = 1; i < messages.length - 1; i++) {
    const { subject, headerText, body } = messages[i] as OutgoingMessage;
    between.add(subject, `${id}Nats-Batch-Sequence: ${i + 1}\r\n${headerText}`, body);
  }
  const first = messages[0] as OutgoingMessage;
  const opens = id + headerLine("Nats-Batch-Sequence", 1) + expectationLines(expect);
  const opened = request(nc, first, opens + first.headerText, timeoutMs);
  between.send(nc);
  const last = messages.at(-1) as OutgoingMessage;
  const lines = id + headerLine("Nats-Batch-Sequence", messages.length) + headerLine("Nats-Batch-Commit", 1);
  const committed = request(nc, last, lines + last.headerText, timeoutMs);
  const opening = await opened;
  // An accepted opening has an empty answer; an error there is the server's true reason, the commit only echoes it.
  if (!(opening instanceof Error) && opening.data.length > 0) {
    const refusal = readAnswer(opening);
    if (refusal.kind === "refused") return refusal;
  }
  return readAnswer(await committed);
}

async function request(
  nc: NatsConnection,
  message: OutgoingMessage,
  lines: string,
  timeout: number,
): Promise<Msg | Error> {
  try {
    return await liveRequest(nc, message.subject, message.body, {
      timeout,
      headers: new EncodedHeaders(lines),
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function readAnswer(answer: Msg | Error): WriteResult {
  if (answer instanceof Error) return { kind: "unknown", reason: answer.message, cause: answer };
  let ack: { seq?: number; duplicate?: boolean; error?: { err_code?: number; description?: string } };
  try {
    ack = answer.json();
  } catch {
    return { kind: "unknown", reason: "the server's answer can't be read" };
  }
  if (ack.error) {
    return { kind: "refused", errCode: ack.error.err_code ?? 0, reason: ack.error.description ?? "refused" };
  }
  if (typeof ack.seq !== "number") return { kind: "unknown", reason: "the server's answer has no sequence" };
  return { kind: "stored", lastSeq: ack.seq, ...(ack.duplicate && { duplicate: true }) };
}
