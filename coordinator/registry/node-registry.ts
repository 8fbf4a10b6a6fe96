import type { NatsConnection } from "@nats-io/transport-node";
import {
  type OutgoingMessage,
  WRONG_LAST_SEQUENCE,
  writeGuarded,
} from "../../shared/nats/batch-publisher.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { streamState } from "../../shared/nats/jetstream-api.ts";
import type { Log } from "../../shared/observe/log.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerLine, headerValue } from "../../shared/protocol/headers.ts";
import { BUCKET, STREAM } from "../../shared/protocol/names.ts";
import { isWorthWriting, type NodeRecord, nodeRecord } from "./node-record.ts";

export interface NodeRegistryInit {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly log: Log;
}

/** A node as it is now, to be kept. */
export interface NodeToKeep {
  readonly record: NodeRecord;
  readonly isUp: boolean;
}

const PREFIX = `$KV.${BUCKET.nodes}.`;
/** How KV clients know a key that was deleted (ADR-8). */
const OPERATION = "KV-Operation";
/** In one write; the rest comes with the next turn. */
const MOST_WRITES = 256;

/**
 * The record of every node in the KV bucket `CIM_NODES`, for the next coordinator and for whoever looks. Any KV client
 * reads it. Only the leading coordinator writes, and expects the stream's end as it knows it: what another wrote
 * meanwhile is read first.
 */
export class NodeRegistry {
  readonly #init: NodeRegistryInit;
  readonly #written = new Map<string, NodeRecord>();
  /** The stream's last sequence; undefined: to be read again. */
  #lastSeq: number | undefined;
  #writing = false;

  constructor(init: NodeRegistryInit) {
    this.#init = init;
  }

  /** Reads what is kept. @throws the client's errors, JetStreamRefused */
  async load(): Promise<NodeRecord[]> {
    const { nc, inboxPrefix, log } = this.#init;
    // First: what is written while the records are read shows as another end.
    const { last_seq } = await streamState(nc, STREAM.nodes);
    const query = { seq: 1, next_by_subj: `${PREFIX}>` };
    const messages = await getMessages(nc, STREAM.nodes, query, { inboxPrefix });
    this.#written.clear();
    for (const message of messages) {
      const record = recordIn(message);
      if (record) this.#written.set(record.name, record);
      else if (record === null) log.warn({ subject: message.subject }, "a node's record can't be read");
    }
    this.#lastSeq = last_seq;
    return [...this.#written.values()];
  }

  /** Writes what changed, and deletes who is no longer there. One at a time; what fails comes with the next turn. */
  async keep(nodes: readonly NodeToKeep[]): Promise<void> {
    const { nc, log } = this.#init;
    if (this.#writing || nc.isClosed()) return;
    this.#writing = true;
    try {
      if (this.#lastSeq === undefined) await this.load();
      await this.#write(nodes);
    } catch (error) {
      this.#lastSeq = undefined;
      log.debug({ err: error }, "the nodes' records can't be read");
    } finally {
      this.#writing = false;
    }
  }

  async #write(nodes: readonly NodeToKeep[]): Promise<void> {
    const { nc, log } = this.#init;
    const changes = this.#changes(nodes);
    if (changes.size === 0) return;
    const messages = [...changes].map(([name, record]) => messageOf(name, record));
    const result = await writeGuarded(nc, messages, { lastSeq: this.#lastSeq ?? 0, allOrNothing: true });
    if (result.kind !== "stored") {
      this.#lastSeq = undefined;
      const isAnothers = result.kind === "refused" && result.errCode === WRONG_LAST_SEQUENCE;
      if (!isAnothers) log.warn({ reason: result.reason }, "the nodes' records can't be written");
      return;
    }
    this.#lastSeq = result.lastSeq;
    for (const [name, record] of changes) {
      if (record) this.#written.set(name, record);
      else this.#written.delete(name);
    }
  }

  /** By name: the record to write, or undefined to delete it. */
  #changes(nodes: readonly NodeToKeep[]): Map<string, NodeRecord | undefined> {
    const changes = new Map<string, NodeRecord | undefined>();
    const present = new Set<string>();
    for (const { record, isUp } of nodes) {
      present.add(record.name);
      if (changes.size >= MOST_WRITES) continue;
      if (isWorthWriting(this.#written.get(record.name), record, isUp)) changes.set(record.name, record);
    }
    for (const name of this.#written.keys()) {
      if (changes.size < MOST_WRITES && !present.has(name)) changes.set(name, undefined);
    }
    return changes;
  }
}

/** undefined: deleted; null: not what we write. */
function recordIn({ headerText, body }: StoredMessage): NodeRecord | undefined | null {
  if (headerValue(headerText, OPERATION) !== undefined) return undefined;
  try {
    return nodeRecord.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).data ?? null;
  } catch {
    return null;
  }
}

function messageOf(name: string, record: NodeRecord | undefined): OutgoingMessage {
  const subject = PREFIX + name;
  if (!record) return { subject, headerText: headerLine(OPERATION, "DEL"), body: new Uint8Array() };
  return { subject, headerText: "", body: Buffer.from(JSON.stringify(record)) };
}
