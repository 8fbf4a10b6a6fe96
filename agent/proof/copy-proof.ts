import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Config } from "../../shared/config/index.ts";
import { StoredMessages } from "../../shared/follow/proof/stored-messages.ts";
import { StreamLedger } from "../../shared/follow/proof/stream-ledger.ts";
import type { Log } from "../../shared/observe/log.ts";
import { STREAM } from "../../shared/protocol/names.ts";
import type { LogPosition } from "../../shared/protocol/reign.ts";
import { inboxPrefix } from "../../shared/protocol/subjects.ts";
import type { OnWritten } from "../downlink/copy-writer.ts";
import type { ProvenCopy } from "./proof-desk.ts";

/** The parts of the downlink that are needed; another one after the domains were changed. */
interface Following {
  readonly position: LogPosition | undefined;
  readonly phase: string;
  readonly domains: readonly string[];
  refill(): boolean;
}

export interface CopyProofInit {
  readonly nc: NatsConnection;
  readonly config: Config;
  readonly downlink: () => Following | undefined;
  readonly log: Log;
}

/** Counts what is written to the copy, so that it can be compared with the log. */
export class CopyProof {
  readonly #ledger: StreamLedger;
  readonly #log: Log;
  readonly proven: ProvenCopy;

  constructor({ nc, config, downlink, log }: CopyProofInit) {
    const { node, dataDir, nats } = config;
    this.#log = log;
    const prefix = inboxPrefix(node);
    const messages = new StoredMessages({
      nc,
      inboxPrefix: prefix,
      stream: STREAM.events,
      storeDir: nats.storeDir,
    });
    const file = join(dataDir, "copy-sums.jsonl");
    this.#ledger = new StreamLedger({ messages, file, isLog: false, log });
    this.proven = {
      ledger: this.#ledger,
      messages,
      // Only while it is mended may it lack what is before its position.
      position: () => (downlink()?.phase === "mending" ? undefined : downlink()?.position),
      domains: () => downlink()?.domains ?? [],
      refill: () => downlink()?.refill() ?? false,
    };
  }

  readonly written: OnWritten = (messages, lastSeq) => this.#ledger.written(messages, lastSeq);

  /** Reads what was kept and what came since. Nothing waits for it: it is done again when the copy is asked about. */
  start(): void {
    this.#ledger
      .upToDate()
      .catch((error: unknown) => this.#log.debug({ err: error }, "the copy can't be counted yet"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ledger[Symbol.asyncDispose]();
  }
}
