import { MAX_BLOCK_BYTES, MAX_BLOCK_EVENTS } from "../../shared/protocol/block.ts";
import { type ShippedEvent, weightOf } from "../../shared/protocol/event.ts";
import { withholdContent } from "../../shared/protocol/headers.ts";

/** What a block says beside an event, and the headers that the log adds to it. */
const EVENT_ROOM_BYTES = 2048;

/** Events that wait to be shipped, in order. What is too large for the hub's server goes without its content. */
export class BlockQueue {
  #events: ShippedEvent[] = [];
  #bytes = 0;
  /** The hub's server closes the link at a larger message. */
  #maxMessageBytes = MAX_BLOCK_BYTES;

  /** The largest message that the hub's server takes; a block has a bound of its own. */
  set maxMessageBytes(bytes: number) {
    this.#maxMessageBytes = Math.min(bytes, MAX_BLOCK_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#events.length === 0;
  }

  push(event: ShippedEvent): void {
    const shippable = this.#fits(event) ? event : withholdContent(event);
    this.#events.push(shippable);
    this.#bytes += weightOf(shippable);
  }

  clear(): void {
    this.#events = [];
    this.#bytes = 0;
  }

  /** The next block's events: as many as fit, at least one. An accepted hole can only be told of before a block. */
  take(
    blockBytes: number,
    holeBefore: number | undefined,
  ): { readonly events: ShippedEvent[]; readonly bytes: number } {
    const maxBytes = Math.min(blockBytes, this.#maxMessageBytes - EVENT_ROOM_BYTES);
    let bytes = 0;
    let count = 0;
    for (const event of this.#events) {
      const weight = weightOf(event);
      if (count > 0 && (bytes + weight > maxBytes || count >= MAX_BLOCK_EVENTS)) break;
      if (count > 0 && event.seq === holeBefore) break;
      bytes += weight;
      count++;
    }
    this.#bytes -= bytes;
    const events = this.#events.slice(0, count);
    this.#events = this.#events.slice(count);
    return { events, bytes };
  }

  #fits({ subject, id, headerText, body }: ShippedEvent): boolean {
    // No text takes more than three bytes a character: the exact size matters only near the bound.
    const mostBytes = (subject.length + id.length + headerText.length) * 3 + body.byteLength;
    if (mostBytes + EVENT_ROOM_BYTES <= this.#maxMessageBytes) return true;
    const textBytes = Buffer.byteLength(subject) + Buffer.byteLength(id) + Buffer.byteLength(headerText);
    return textBytes + body.byteLength + EVENT_ROOM_BYTES <= this.#maxMessageBytes;
  }
}
