import { type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { jetStreamApi } from "../shared/nats/jetstream-api.ts";
import { EncodedHeaders } from "../shared/nats/raw-message.ts";
import type { StoredMessage } from "../shared/protocol/event.ts";
import { carriedLogHeaders, headerLine } from "../shared/protocol/headers.ts";
import { REPLAY_HEADER, REPLAY_PREFIX, replayPrefixFault, replaySubject } from "../shared/protocol/replay.ts";
import { CommandFailure, usage } from "./failure.ts";

/** After so many bytes the server is asked whether it has them: what waits in memory stays small. */
const FLUSH_BYTES = 1024 * 1024;

/** A subject prefix below which events are told again, where nothing takes them for new ones. */
export class ReplayTarget {
  readonly #nc: NatsConnection;
  readonly #prefix: string;
  #unflushedBytes = 0;
  #refused: Error | undefined;

  private constructor(nc: NatsConnection, prefix: string) {
    this.#nc = nc;
    this.#prefix = prefix;
    void this.#watchRefusals();
  }

  /** @throws CommandFailure when events may never go there */
  static check(prefix: string): void {
    const fault = replayPrefixFault(prefix);
    if (fault !== undefined) throw usage(`--into: ${fault}`);
  }

  /** @throws CommandFailure when a stream captures what is published there */
  static async open(nc: NatsConnection, prefix: string): Promise<ReplayTarget> {
    const subject = `${prefix}.>`;
    const { streams } = await jetStreamApi<{ streams: string[] | null }>(nc, "STREAM.NAMES", { subject });
    if (streams && streams.length > 0) {
      throw usage(
        `--into: the stream ${streams.join(", ")} captures ${subject}, events would be stored as new ones; write another prefix, as ${REPLAY_PREFIX}.test`,
      );
    }
    return new ReplayTarget(nc, prefix);
  }

  async publish({ subject, headerText, body }: StoredMessage): Promise<void> {
    const headers = new EncodedHeaders(carriedLogHeaders(headerText) + headerLine(REPLAY_HEADER, 1));
    this.#nc.publish(replaySubject(this.#prefix, subject), body, { headers });
    // The first one tells whether the user may at all.
    if (this.#unflushedBytes === 0) await this.#flush();
    this.#unflushedBytes += body.byteLength + headerText.length + subject.length;
    if (this.#unflushedBytes > FLUSH_BYTES) await this.#flush();
  }

  async end(): Promise<void> {
    await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#nc.flush();
    this.#unflushedBytes = 0;
    if (this.#refused) {
      throw new CommandFailure(
        `--into: this user may not publish to ${this.#prefix}.>; write a prefix below ${REPLAY_PREFIX}, or --seed-file of a user who may`,
        2,
        { cause: this.#refused },
      );
    }
  }

  async #watchRefusals(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type === "error" && status.error instanceof PermissionViolationError)
        this.#refused = status.error;
    }
  }
}
