import { hash } from "node:crypto";
import { type JetStreamManager, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

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
export async function readStream(url: string, name: string): Promise<ReadStream> {
  const messages: Stored[] = [];
  const state = await readEach(url, name, (message) => void messages.push(message));
  return { ...state, messages };
}

/** Shows each message of a stream in its order, as it was when the reading began, or up to a sequence. */
export async function readEach(
  url: string,
  name: string,
  see: (message: Stored) => void,
  untilSeq?: number,
): Promise<StreamState> {
  return await withStreams(url, async (jsm) => {
    const { state } = await jsm.streams.info(name);
    const lastSeq = Math.min(state.last_seq, untilSeq ?? state.last_seq);
    if (state.messages > 0)
      for await (const message of messagesOf(jsm, name, state.first_seq, lastSeq)) see(stored(message));
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
): AsyncGenerator<StoredMsg> {
  for (let seq = firstSeq; seq <= lastSeq; ) {
    const before = seq;
    try {
      for await (const message of await jsm.direct.getBatch(name, { seq, batch: 1000 })) {
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

/** The newest message of a log or copy that has a place in the log, and the stream's last sequence. */
export async function readEnd(
  url: string,
  name: string,
): Promise<{ readonly lastSeq: number; readonly index: number }> {
  return await withStreams(url, async (jsm) => {
    const { state } = await jsm.streams.info(name);
    for (let seq = state.last_seq; seq >= state.first_seq && state.messages > 0; seq--) {
      const message = await jsm.direct.getMessage(name, { seq });
      const index = message ? stored(message).log?.index : undefined;
      if (index !== undefined) return { lastSeq: state.last_seq, index };
    }
    return { lastSeq: state.last_seq, index: 0 };
  });
}

async function withStreams<T>(url: string, read: (jsm: JetStreamManager) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: url, reconnect: false, timeout: 5000, name: "test judge" });
  try {
    return await read(await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 }));
  } finally {
    await nc.close();
  }
}

function stored(message: StoredMsg): Stored {
  const headers = new Map<string, string>();
  const body = bodyHash(message.data);
  let same = `${message.subject} ${body}`;
  for (const key of message.header.keys().sort()) {
    const value = message.header.get(key);
    headers.set(key, value);
    if (!key.startsWith("Nats-")) same += `\n${key}: ${value}`;
  }
  const [, reign, index] = /^(.+)\.(\d+)$/.exec(headers.get("Cim-Log") ?? "") ?? [];
  const [node, incarnation, , seq] = headers.get("Cim-Origin")?.split(" ") ?? [];
  return {
    streamSeq: message.seq,
    storedAt: message.timestamp,
    subject: message.subject,
    body,
    headers,
    id: headers.get("Cim-Id") ?? headers.get("Nats-Msg-Id") ?? "",
    log: reign !== undefined && index !== undefined ? { reign, index: Number(index) } : undefined,
    print: hash("sha1", same, "base64url"),
    origin:
      node !== undefined && seq !== undefined
        ? { node, incarnation: Number(incarnation), seq: Number(seq) }
        : undefined,
  };
}
