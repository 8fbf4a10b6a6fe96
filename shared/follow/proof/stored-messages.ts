import type { NatsConnection } from "@nats-io/transport-node";
import type { Span } from "../../consistency/proof/block-sums.ts";
import { firstKept, jetStreamApi, type StreamState } from "../../nats/jetstream-api.ts";
import { DiskReader, messagesFolder, StoreUnreadable } from "../../nats/stored-on-disk.ts";
import { StreamReader } from "../../nats/stream-reader.ts";
import type { StoredMessage } from "../../protocol/event.ts";

export interface StoredMessagesInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly stream: string;
  /** Where the node's server keeps its streams. */
  readonly storeDir: string;
}

export interface StreamFigures extends StreamState {
  readonly num_deleted?: number;
  readonly deleted?: readonly number[] | null;
}

/** From the server, bodies left out or not; from the disk, past what the server holds in memory. */
export type ReadFrom = "headers" | "server" | "disk";

/** The own server hands out hundreds of messages a millisecond; so long without one, it has something else to do. */
const SILENCE_MS = 10_000;
const INFO_TIMEOUT_MS = 10_000;

/** Reads ranges of one of the node's own streams. */
export class StoredMessages {
  readonly #init: StoredMessagesInit;
  readonly #disk: DiskReader;
  /** False: the server's files can't be read from here, and its own word was taken. */
  readsDisk = true;

  constructor(init: StoredMessagesInit) {
    this.#init = init;
    this.#disk = new DiskReader(messagesFolder(init.storeDir, init.stream));
  }

  /** @param deleted the sequences that were deleted are wanted, too */
  async figures(deleted = false): Promise<StreamFigures> {
    const { nc, stream } = this.#init;
    const info = await jetStreamApi<{ state: StreamFigures }>(
      nc,
      `STREAM.INFO.${stream}`,
      deleted ? { deleted_details: true } : undefined,
      { timeoutMs: INFO_TIMEOUT_MS },
    );
    return info.state;
  }

  /** @throws ReaderBroken, JetStreamRefused, or the client's error */
  async *read(span: Span, from: ReadFrom, filters: readonly string[] = []): AsyncGenerator<StoredMessage[]> {
    if (from !== "disk") {
      yield* this.#fromServer(span, filters, from === "headers");
      return;
    }
    try {
      yield* this.#fromDisk(span);
      this.readsDisk = true;
    } catch (error) {
      if (!(error instanceof StoreUnreadable)) throw error;
      this.readsDisk = false;
      yield* this.#fromServer(span, [], false);
    }
  }

  async *#fromDisk({ first, last }: Span): AsyncGenerator<StoredMessage[]> {
    const plain = await this.figures();
    const state = (plain.num_deleted ?? 0) > 0 ? await this.figures(true) : plain;
    yield* this.#disk.read({
      firstSeq: Math.max(first, firstKept(state)),
      lastSeq: Math.min(last, state.last_seq),
      deleted: new Set(state.deleted ?? []),
    });
  }

  async *#fromServer(
    { first, last }: Span,
    filters: readonly string[],
    headersOnly: boolean,
  ): AsyncGenerator<StoredMessage[]> {
    const { nc, inboxPrefix, stream } = this.#init;
    const state = await this.figures();
    const startSeq = Math.max(first, firstKept(state));
    const upTo = Math.min(last, state.last_seq);
    if (startSeq > upTo) return;
    await using reader = await new StreamReader({
      nc,
      inboxPrefix,
      stream,
      startSeq,
      headersOnly,
      filters,
      silenceMs: SILENCE_MS,
    }).start();
    yield* reader.backlog(upTo);
  }
}
