import type { Socket } from "node:net";
import type { LinkCondition } from "./link-condition.ts";

/** Linux's least retransmission time-out: what a segment that was lost at the end of a burst costs. */
const retransmissionTimeoutMs = 200;
/** Payload of an Ethernet segment: the piece that is stalled, and the grain of the rate. */
const segmentBytes = 1448;

/**
 * How much may wait inside the lane before its source is no longer read: a full router queue, or a long fat pipe (and
 * what a black hole holds, before the kernel's buffers and then the sender's own do).
 */
const slowQueueBytes = 64 * 1024;
const fastQueueBytes = 4 * 1024 * 1024;

type Piece = { readonly bytes: Uint8Array; readonly arrivedAtMs: number; readonly stallMs: number };

export type LinkLaneInit = {
  readonly from: Socket;
  readonly to: Socket;
  readonly condition: LinkCondition;
  /** In [0, 1). */
  readonly random: () => number;
  readonly onDelivered: (bytes: number) => void;
  /** The source reset its connection: nothing more will come. */
  readonly onBroken: () => void;
};

/**
 * One direction of one connection: takes bytes from a socket and writes them, all and in order, to another, when the
 * link's condition says so. Holds a bounded number of bytes; when full it stops reading, so the sender feels it.
 */
export class LinkLane {
  readonly #init: LinkLaneInit;
  #condition: LinkCondition;
  #queue: Piece[] = [];
  #queuedBytes = 0;
  #ended = false;
  #broken = false;
  #closed = false;
  #draining = false;
  #lineFreeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(init: LinkLaneInit) {
    this.#init = init;
    this.#condition = init.condition;
    init.from.on("data", (bytes) => this.#take(bytes));
    init.from.on("end", () => {
      this.#ended = true;
      this.#pump();
    });
    init.from.on("error", () => {
      this.#broken = true;
      this.#pump();
    });
    init.to.on("drain", () => {
      this.#draining = false;
      this.#pump();
    });
    this.#read();
  }

  setCondition(condition: LinkCondition): void {
    this.#condition = condition;
    this.#lineFreeAtMs = 0;
    this.#pump();
    this.#read();
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    clearTimeout(this.#timer);
  }

  #take(bytes: Uint8Array): void {
    const condition = this.#condition;
    const arrivedAtMs = performance.now();
    const shaped = condition.state === "up" && (condition.stallFraction || condition.bitsPerS);
    const step = shaped ? segmentBytes : bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + step);
      this.#queue.push({ bytes: piece, arrivedAtMs, stallMs: this.#stallMs() });
    }
    this.#queuedBytes += bytes.length;
    this.#pump();
    this.#read();
  }

  /** The retransmission may be lost as well, and each further time-out is twice as long (RFC 6298). */
  #stallMs(): number {
    const fraction = this.#condition.state === "up" ? (this.#condition.stallFraction ?? 0) : 0;
    let stallMs = 0;
    for (let attempt = 0; attempt < 6 && this.#init.random() < fraction; attempt++) {
      stallMs += retransmissionTimeoutMs * 2 ** attempt;
    }
    return stallMs;
  }

  /** Reads on or stops reading, as the condition and the queue allow. */
  #read(): void {
    if (this.#closed) return;
    const { from } = this.#init;
    const limit =
      this.#condition.state === "up" && this.#condition.bitsPerS ? slowQueueBytes : fastQueueBytes;
    if (this.#queuedBytes >= limit) from.pause();
    else from.resume();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    const condition = this.#condition;
    if (this.#closed || condition.state !== "up") return;
    if (this.#broken) this.#init.onBroken();
    if (this.#closed || this.#draining) return;
    for (let piece = this.#queue[0]; piece !== undefined; piece = this.#queue[0]) {
      const nowMs = performance.now();
      const dueMs = this.#due(piece, condition);
      if (dueMs > nowMs) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(dueMs - nowMs));
        return;
      }
      this.#lineFreeAtMs = dueMs - (condition.delayMs ?? 0);
      this.#queue.shift();
      this.#queuedBytes -= piece.bytes.length;
      this.#init.onDelivered(piece.bytes.length);
      if (!this.#init.to.write(piece.bytes)) {
        this.#draining = true;
        break;
      }
    }
    this.#read();
    if (this.#queue.length === 0 && this.#ended) this.#init.to.end();
  }

  /** When the first piece of the queue has crossed the link. Stalls that overlap are waited for together. */
  #due(piece: Piece, condition: LinkCondition & { state: "up" }): number {
    const crossedMs = piece.arrivedAtMs + piece.stallMs + (condition.delayMs ?? 0);
    if (!condition.bitsPerS) return crossedMs;
    const sentMs = (piece.bytes.length * 8000) / condition.bitsPerS;
    return Math.max(
      crossedMs,
      Math.max(piece.arrivedAtMs, this.#lineFreeAtMs) + sentMs + (condition.delayMs ?? 0),
    );
  }
}
