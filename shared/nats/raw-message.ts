import { MsgHdrsImpl, MsgImpl } from "@nats-io/nats-core/internal";
import type { Msg } from "@nats-io/transport-node";

// The client decodes and encodes headers by way of maps, at several times the cost of all else that is done to an
// event here. These two go around it, with the client's own classes.

/** First line of a message's headers. */
export const STATUS_LINE = "NATS/1.0";

/** Headers that are already what goes on the wire. `lines`: `Name: value\r\n`, any number. */
export class EncodedHeaders extends MsgHdrsImpl {
  readonly #wire: Uint8Array;

  constructor(lines: string) {
    super();
    this.#wire = Buffer.from(`${STATUS_LINE}\r\n${lines}\r\n`, "utf8");
  }

  override encode(): Uint8Array {
    return this.#wire;
  }
}

/** A message's header lines, each ending in `\r\n`, without the status line; "" when it has none. */
export function headerTextOf(message: Msg): string {
  if (!(message instanceof MsgImpl)) throw new TypeError("a message of another client");
  const end = message._msg.hdr;
  if (end <= 0) return "";
  const data = message._rdata;
  const text = Buffer.from(data.buffer, data.byteOffset, end).toString("utf8");
  const first = text.indexOf("\r\n");
  // The block ends in an empty line.
  return text.slice(first + 2, text.length - 2);
}

/** The status that the server gave a message, as 503; 0: it has none. */
export function statusOf(message: Msg): number {
  if (!(message instanceof MsgImpl)) throw new TypeError("a message of another client");
  const data = message._rdata;
  if (message._msg.hdr <= 0 || data[STATUS_LINE.length] !== 0x20) return 0;
  let status = 0;
  for (let at = STATUS_LINE.length + 1; isDigit(data[at]); at++)
    status = status * 10 + (data[at] as number) - 0x30;
  return status;
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** A delivered message's size as JetStream counts it against a pull's `max_bytes`. */
export function deliveredBytes(message: Msg): number {
  if (!(message instanceof MsgImpl)) throw new TypeError("a message of another client");
  return Buffer.byteLength(message.subject) + (message.reply?.length ?? 0) + message._rdata.byteLength;
}
