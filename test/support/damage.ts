import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LabNode } from "../../lab/lab-node.ts";
import { writeOne } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { getMessage } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { messagesFolder } from "../../shared/nats/stored-on-disk.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { carriedLogHeaders, headerValue } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { inboxPrefix, logPublishSubject } from "../../shared/protocol/subjects.ts";

export type DamagedStream = "CIM_OUTBOX" | "CIM_EVENTS";

/** Damages what a running node has stored, with its daemon's own rights or on the disk. */
export class Damage implements AsyncDisposable {
  readonly #node: LabNode;
  readonly #nc: NatsConnection;

  private constructor(node: LabNode, nc: NatsConnection) {
    this.#node = node;
    this.#nc = nc;
  }

  static async on(node: LabNode): Promise<Damage> {
    const { name, natsUrl: url, paths } = node;
    const seedFile = join(paths.data, "agent.nk");
    return new Damage(
      node,
      await connectNats({ url, seedFile, name: "test damage", inboxPrefix: inboxPrefix(name) }),
    );
  }

  /** The stored message of an event, by its id. */
  async find(stream: DamagedStream, id: string): Promise<StoredMessage> {
    const { first_seq, last_seq } = await streamState(this.#nc, stream);
    for (let seq = first_seq; seq <= last_seq; seq++) {
      const message = await getMessage(this.#nc, stream, { seq });
      const found =
        message &&
        (headerValue(message.headerText, HEADER.id) ?? headerValue(message.headerText, HEADER.msgId));
      if (message && found === id) return message;
    }
    throw new Error(`${stream} of ${this.#node.name} has no ${id}`);
  }

  async deleteEvent(stream: DamagedStream, id: string): Promise<void> {
    const { seq } = await this.find(stream, id);
    await jetStreamApi(this.#nc, `STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
  }

  /** Stores an event of the log or copy once more, as it is or with another body. */
  async store({ subject, headerText, body }: StoredMessage, other: Uint8Array = body): Promise<void> {
    const result = await writeOne(this.#nc, {
      subject: logPublishSubject(subject),
      headerText: carriedLogHeaders(headerText),
      body: other,
    });
    if (result.kind !== "stored") throw new Error(`it was not stored: ${JSON.stringify(result)}`);
  }

  /** Flips one bit of a byte on the disk, in the first record that holds this text, at its end. */
  async flipByte(stream: DamagedStream, text: string): Promise<void> {
    const dir = messagesFolder(this.#node.paths.store, stream);
    for (const name of await readdir(dir)) {
      if (!name.endsWith(".blk")) continue;
      await using file = await open(join(dir, name), "r+");
      const bytes = await file.readFile();
      const at = bytes.indexOf(text);
      if (at < 0) continue;
      const place = at + Buffer.byteLength(text) - 1;
      await file.write(Buffer.from([(bytes[place] as number) ^ 1]), 0, 1, place);
      return;
    }
    throw new Error(`no block of ${stream} on ${this.#node.name} holds ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nc.close();
  }
}
