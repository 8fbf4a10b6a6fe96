import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { encodeQuestion, type Question, type Reply, readReply } from "./dns-message.ts";

/** One question to one server, by its address. */
export interface Exchange {
  readonly question: Question;
  readonly id: number;
  readonly edns: boolean;
  readonly address: string;
  readonly family: number;
  readonly port: number;
  /** Ends the wait, by its reason. */
  readonly signal: AbortSignal;
}

/** Somebody who sends so many wrong answers to one question is guessing, or broken. */
const MOST_FOREIGN = 64;
const LARGEST_MESSAGE = 65_535;

/**
 * Asks over UDP. Each question has a socket of its own, with a port that the system chose at random, and takes packets
 * from the server's address alone (RFC 5452).
 *
 * @throws Error when the server can't be reached, the signal's reason when it ends the wait
 */
export async function askOverUdp({ signal, address, family, port, ...about }: Exchange): Promise<Reply> {
  signal.throwIfAborted();
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    let foreign = 0;
    socket.on("message", (bytes) => {
      const reply = readReply(bytes, about.question, about.id);
      if (reply.kind !== "foreign") resolve(reply);
      else if (++foreign > MOST_FOREIGN) reject(new Error(`sends what was not asked for: ${reply.reason}`));
    });
    socket.on("error", reject);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    socket.connect(port, address, () => {
      socket.send(encodeQuestion(about.question, about.id, about.edns));
    });
    return await promise;
  } finally {
    socket.close();
  }
}

/** Asks over TCP, for what does not fit into a datagram. @throws as `askOverUdp`, and when the answer is another's */
export async function askOverTcp({ signal, address, port, ...about }: Exchange): Promise<Reply> {
  signal.throwIfAborted();
  const socket = connect({ host: address, port, signal });
  try {
    await once(socket, "connect", { signal });
    const bytes = encodeQuestion(about.question, about.id, about.edns);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    socket.write(Buffer.concat([length, bytes]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) {
        if (received.length > LARGEST_MESSAGE + 2) break;
        continue;
      }
      const reply = readReply(received.subarray(2, 2 + received.readUInt16BE(0)), about.question, about.id);
      if (reply.kind === "foreign") throw new Error(`answers over TCP with what ${reply.reason}`);
      if (reply.kind === "truncated") throw new Error("cuts its answer short over TCP too");
      return reply;
    }
    throw new Error("ends the connection before its answer");
  } finally {
    socket.destroy();
  }
}
