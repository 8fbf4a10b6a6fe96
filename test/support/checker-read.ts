import { hash } from "node:crypto";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
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
    for (let seq = state.first_seq; seq <= lastSeq && state.messages > 0; ) {
      const before = seq;
      for await (const message of await jsm.direct.getBatch(name, { seq, batch: 1000 })) {
        if (message.seq > lastSeq) break;
        see(stored(message));
        seq = message.seq + 1;
      }
      if (seq === before) break;
    }
    // What came behind that sequence can be counted only where nothing was deleted there, as in a log or copy.
    return {
      name,
      said: state.messages - (state.last_seq - lastSeq),
      firstSeq: state.first_seq,
      lastSeq,
    };
  });
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

function stored(message: {
  seq: number;
  timestamp: string;
  subject: string;
  data: Uint8Array;
  header: { keys(): string[]; get(key: string): string };
}): Stored {
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
