/** The bytes are not what they claim to be: cut short, too long, or of an unknown version. */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes";
}

/** Reads what a ByteWriter wrote; throws MalformedBytes at anything else, never reads past the end. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.#buffer[this.#at++];
      if (byte === undefined) throw new MalformedBytes("a number is cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedBytes("a number is too large");
  }

  text(): string {
    const length = this.#take();
    return this.#buffer.toString("utf8", this.#at - length, this.#at);
  }

  /** A view of the underlying bytes, not a copy. */
  bytes(): Uint8Array {
    const length = this.#take();
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  #take(): number {
    const length = this.varint();
    if (length > this.remaining)
      throw new MalformedBytes(`${length} bytes are said to follow, ${this.remaining} do`);
    this.#at += length;
    return length;
  }
}
