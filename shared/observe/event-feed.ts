import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

/** Something that happened, as a client of the feed is told of it. */
export interface FeedEvent {
  /** The event's type, as `node-health`. */
  readonly event: string;
  /** JSON. */
  readonly data: unknown;
}

export interface EventFeedOptions {
  /** How many may listen at once; the next is refused. Default 32. */
  readonly maxClients?: number;
  /** What waits for a client that reads too slowly, bytes, before it is cut off. Default 256 KiB. */
  readonly maxBufferedBytes?: number;
  /** How many events are kept for clients that come back. Default 1,000. */
  readonly kept?: number;
  /** So often a comment is sent, so that whatever stands between does not close an idle connection. Default 15 s. */
  readonly keepAliveMs?: number;
}

const HEAD = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  // Proxies that collect answers would hold events back.
  "X-Accel-Buffering": "no",
};
/** What a browser's EventSource waits before it comes back. */
const RETRY_MS = 1_000;

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) for many clients. A client that comes
 * back says the last id it saw and gets what it missed; if that is no longer kept, or is of another run, it gets `reset`
 * first: what it knows must be read anew.
 */
export class EventFeed {
  readonly #run = randomBytes(4).toString("hex");
  readonly #maxClients: number;
  readonly #maxBufferedBytes: number;
  readonly #most: number;
  readonly #keepAliveMs: number;
  readonly #clients = new Set<ServerResponse>();
  readonly #kept: string[] = [];
  #next = 1;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EventFeedOptions = {}) {
    this.#maxClients = options.maxClients ?? 32;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? 256 * 1024;
    this.#most = options.kept ?? 1_000;
    this.#keepAliveMs = options.keepAliveMs ?? 15_000;
  }

  get clients(): number {
    return this.#clients.size;
  }

  get isFull(): boolean {
    return this.#clients.size >= this.#maxClients;
  }

  /** Tells everybody who listens. */
  send({ event, data }: FeedEvent): void {
    const text = `id: ${this.#run}-${this.#next++}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#kept.push(text);
    if (this.#kept.length > this.#most) this.#kept.shift();
    for (const client of this.#clients) this.#write(client, text);
  }

  /** Takes a client on; it is let go when its connection closes. */
  attach(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, HEAD);
    response.write(`retry: ${RETRY_MS}\n\n${this.#missedSince(request.headers["last-event-id"])}`);
    this.#clients.add(response);
    this.#timer ??= setInterval(() => this.#keepAlive(), this.#keepAliveMs).unref();
    response.once("close", () => {
      this.#clients.delete(response);
      if (this.#clients.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
  }

  #missedSince(lastId: string | string[] | undefined): string {
    if (typeof lastId !== "string") return "";
    const [run, number] = lastId.split("-");
    const missed = this.#next - 1 - Number(number);
    const isKept = run === this.#run && missed >= 0 && missed <= this.#kept.length;
    if (!isKept) return "event: reset\ndata: {}\n\n";
    return missed === 0 ? "" : this.#kept.slice(-missed).join("");
  }

  #write(client: ServerResponse, text: string): void {
    if (client.writableLength + text.length > this.#maxBufferedBytes) client.destroy();
    else client.write(text);
  }

  #keepAlive(): void {
    for (const client of this.#clients) this.#write(client, ": \n\n");
  }
}
