import { NatsConnectionImpl } from "@nats-io/nats-core/internal";
import type { NatsConnection } from "@nats-io/transport-node";
import { STATUS_LINE } from "./raw-message.ts";

const CHUNK_BYTES = 64 * 1024;
/** nats-server splits a command at them. */
const BLANK = /\s/;

/**
 * Many publishes without answers, written into few buffers as the wire has them. The client's own `publish` makes an
 * object with a map and four buffers of each, and garbage is most of what a large batch costs: this takes a third of it.
 */
export class PublishFrames {
  readonly #chunks: Uint8Array[] = [];
  readonly #maxBytes: number;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param maxBytes headers and body of one message, as the server has it in `max_payload` */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @param lines headers, `Name: value\r\n` each
   * @throws RangeError at what would break the connection: blanks in the subject, more than the server takes
   */
  add(subject: string, lines: string, body: Uint8Array): void {
    if (subject === "" || BLANK.test(subject)) throw new RangeError(`"${subject}" is no subject`);
    const headerBytes = STATUS_LINE.length + Buffer.byteLength(lines) + 4;
    const bytes = headerBytes + body.byteLength;
    if (bytes > this.#maxBytes)
      throw new RangeError(`a message of ${bytes} bytes; the server takes ${this.#maxBytes}`);
    const head = `HPUB ${subject} ${headerBytes} ${bytes}\r\n${STATUS_LINE}\r\n${lines}\r\n`;
    // No text takes more than three bytes a character.
    this.#reserve(head.length * 3 + body.byteLength + 2);
    this.#at += this.#chunk.write(head, this.#at, "utf8");
    this.#chunk.set(body, this.#at);
    this.#at += body.byteLength;
    this.#chunk[this.#at++] = 0x0d;
    this.#chunk[this.#at++] = 0x0a;
  }

  /** Hands them to the connection, in order behind what was published before. */
  send(nc: NatsConnection): void {
    if (!(nc instanceof NatsConnectionImpl)) throw new TypeError("a connection of another client");
    this.#close();
    for (const chunk of this.#chunks.splice(0)) nc.protocol.sendCommand(chunk);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return;
    this.#close();
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes));
  }

  #close(): void {
    if (this.#at > 0) this.#chunks.push(this.#chunk.subarray(0, this.#at));
    this.#chunk = Buffer.alloc(0);
    this.#at = 0;
  }
}
