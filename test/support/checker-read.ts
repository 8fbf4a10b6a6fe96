import { hash } from "node:crypto";
import { type JetStreamManager, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { connect, type QueuedIterator } from "@nats-io/transport-node";

// The judge's eyes: a plain NATS client and the names of the public interface, spelled out here on purpose. Nothing of
// the code that is judged is used to judge it.

/** A message as a stream has it. */
export interface Stored {
  readonly streamSeq: number;
  readonly storedAt: string;
  readonly subject: string;
  readonly body: string;
  readonly headers: ReadonlyMap<string, string>;
  /** `Cim-Id`, else the publisher's `Nats-Msg-Id`, else "". */
  readonly id: string;
  /** `Cim-Log`; undefined in an outbox, and for what a copy notes of itself. */
  readonly log: { readonly reign: string; readonly index: number } | undefined;
  /** Hash of all that must be the same on every node: subject, body, and headers other than `Nats-*`. */
  readonly print: string;
  /** `Cim-Origin`; undefined in an outbox and for control records. */
  readonly origin: { readonly node: string; readonly incarnation: number; readonly seq: number } | undefined;
}

/** What a stream says of itself. */
export interface StreamState {
  readonly name: string;
  /** How many messages it says it has. */
  readonly said: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface ReadStream extends StreamState {
  readonly messages: Stored[];
}

export function bodyHash(body: Uint8Array): string {
  return hash("sha256", body, "base64url").slice(0, 22);
}

/** Reads a whole stream as any program on the node could. */
export async function readStream(url: string, name: string, silenceMs?: number): Promise<ReadStream> {
  const messages: Stored[] = [];
  const see = (message: Stored) => void messages.push(message);
  const state = await readEach(url, name, see, {
    headers: true,
    ...(silenceMs !== undefined && { silenceMs }),
  });
  return { ...state, messages };
}

export interface ReadOptions {
  readonly untilSeq?: number;
  /** How long a batch may stand still. Default 10,000. */
  readonly silenceMs?: number;
  /** Whether messages have their headers: what is kept of half a million messages should be little. Default false. */
  readonly headers?: boolean;
}

/**
 * Shows each message of a stream in its order, as it was when the reading began, or up to a sequence.
 *
 * @throws Error also when a batch does not go on for `silenceMs` (10,000)
 */
export async function readEach(
  url: string,
  name: string,
  see: (message: Stored) => void,
  { untilSeq, silenceMs, headers = false }: ReadOptions = {},
): Promise<StreamState> {
  return await withStreams(url, async (jsm) => {
    const { state } = await jsm.streams.info(name);
    const lastSeq = Math.min(state.last_seq, untilSeq ?? state.last_seq);
    if (state.messages > 0)
      for await (const message of messagesOf(jsm, name, state.first_seq, lastSeq, silenceMs))
        see(stored(message, headers));
    // What came behind that sequence can be counted only where nothing was deleted there, as in a log or copy.
    return {
      name,
      said: state.messages - (state.last_seq - lastSeq),
      firstSeq: state.first_seq,
      lastSeq,
    };
  });
}

/** A stream's messages by direct gets; those that were deleted are passed over. */
export async function* messagesOf(
  jsm: JetStreamManager,
  name: string,
  firstSeq: number,
  lastSeq: number,
  silenceMs = 10_000,
): AsyncGenerator<StoredMsg> {
  for (let seq = firstSeq; seq <= lastSeq; ) {
    const before = seq;
    try {
      const batch = await jsm.direct.getBatch(name, { seq, batch: 1000 });
      for await (const message of untilSilent(batch, silenceMs)) {
        if (message.seq > lastSeq) return;
        yield message;
        seq = message.seq + 1;
      }
    } catch (error) {
      // Deleted to the end.
      if (error instanceof Error && error.message === "message not found") return;
      throw error;
    }
    if (seq === before) return;
  }
}

/**
 * What comes, until nothing does for a while: the client itself waits for ever for the rest of a batch whose server is
 * killed or paused in the middle of it.
 *
 * @throws Error
 */
export async function* untilSilent<T>(coming: QueuedIterator<T>, silenceMs: number): AsyncGenerator<T> {
  let processed = -1;
  // Whoever is busy for so long himself has his timers before what came meanwhile: it must have been silent twice.
  const look = () => {
    if (coming.getProcessed() === processed && coming.getPending() === 0)
      coming.stop(new Error(`a batch did not go on for ${silenceMs} ms`));
    processed = coming.getProcessed();
  };
  const timer = setInterval(look, silenceMs / 2);
  try {
    yield* coming;
  } finally {
    clearInterval(timer);
    coming.stop();
  }
}

/** The newest message of a log or copy that has a place in the log, and the stream's last sequence. */
export async function readEnd(
  url: string,
  name: string,
): Promise<{ readonly lastSeq: number; readonly index: number }> {
  return await withStreams(url, async (jsm) => {
    const { state } = await jsm.streams.info(name);
    for (let seq = state.last_seq; seq >= state.first_seq && state.messages > 0; seq--) {
      const message = await jsm.direct.getMessage(name, { seq });
      const index = message ? stored(message, false).log?.index : undefined;
      if (index !== undefined) return { lastSeq: state.last_seq, index };
    }
    return { lastSeq: state.last_seq, index: 0 };
  });
}

async function withStreams<T>(url: string, read: (jsm: JetStreamManager) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: url, reconnect: false, timeout: 20_000, name: "test judge" });
  try {
    return await read(await jetstreamManager(nc, { checkAPI: false, timeout: 30_000 }));
  } finally {
    await nc.close();
  }
}

const none: ReadonlyMap<string, string> = new Map();

/** Called for millions of messages: it makes no more than it keeps. */
function stored(message: StoredMsg, keepHeaders: boolean): Stored {
  const headers = keepHeaders ? new Map<string, string>() : undefined;
  const body = bodyHash(message.data);
  const same: string[] = [];
  let [place, from, id, publisherId] = ["", "", "", ""];
  for (const [key, [value = ""]] of message.header) {
    headers?.set(key, value);
    if (key === "Nats-Msg-Id") publisherId = value;
    if (key.startsWith("Nats-")) continue;
    same.push(key, value);
    if (key === "Cim-Log") place = value;
    else if (key === "Cim-Origin") from = value;
    else if (key === "Cim-Id") id = value;
  }
  const { seq: streamSeq, subject, timestamp: storedAt } = message;
  const dot = place.lastIndexOf(".");
  const [node = "", incarnation, , seq] = from === "" ? [] : from.split(" ");
  return {
    streamSeq,
    storedAt,
    subject,
    body,
    headers: headers ?? none,
    id: id || publisherId,
    log: dot > 0 ? { reign: place.slice(0, dot), index: Number(place.slice(dot + 1)) } : undefined,
    print: hash("sha1", `${subject}\n${body}\n${same.join("\n")}`, "base64url"),
    origin: seq === undefined ? undefined : { node, incarnation: Number(incarnation), seq: Number(seq) },
  };
}
