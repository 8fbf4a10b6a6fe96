import type { NatsConnection } from "@nats-io/transport-node";
import { LaneHistory } from "../../consistency/clock/lane-history.ts";
import { LANE_RECORDS, takeLaneRecord } from "../../consistency/clock/lane-records.ts";
import { getMessage, getMessages } from "../../nats/get-message.ts";
import { laneRecord, marksRecord, readRecord } from "../../protocol/control-records.ts";
import { STREAM } from "../../protocol/names.ts";
import { controlRecordSubject } from "../../protocol/subjects.ts";

export interface KnownLanesInit {
  readonly nc: NatsConnection;
  readonly node: string;
  readonly inboxPrefix: string;
  readonly timeoutMs: number;
}

/** What the node's log or copy says of incarnations and retired nodes. It is read once, and later only what came since. */
export class KnownLanes {
  readonly #init: KnownLanesInit;
  /** By subject: from where on it is read next. */
  readonly #next = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();
  /** Records before the oldest that the stream still has are not in it. */
  readonly history = new LaneHistory();
  /** The newest incarnation of the node's own outbox that the log knows; undefined: none. */
  own: number | undefined;

  constructor(init: KnownLanesInit) {
    this.#init = init;
  }

  /** Resolves when all is known that the stream had when this was called. */
  catchUp(): Promise<void> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#read());
    this.#turn = turn;
    return turn;
  }

  async #read(): Promise<void> {
    const { nc, inboxPrefix, timeoutMs } = this.#init;
    const options = { inboxPrefix, timeoutMs };
    if (this.#next.size === 0) {
      // A log that was purged keeps what is known of lanes in its newest marks.
      const query = { last_by_subj: controlRecordSubject("marks") };
      const message = await getMessage(nc, STREAM.events, query, options);
      for (const { node, incarnation } of (message && readRecord(marksRecord, message)?.lanes) ?? [])
        this.#see(node, incarnation);
    }
    const read = async (subject: string) => {
      const query = { seq: this.#next.get(subject) ?? 1, next_by_subj: subject };
      for (const message of await getMessages(nc, STREAM.events, query, options)) {
        this.#next.set(subject, message.seq + 1);
        takeLaneRecord(this.history, message);
        const record = readRecord(laneRecord, message);
        if (record) this.#see(record.node, record.incarnation);
      }
    };
    await Promise.all(LANE_RECORDS.map(read));
  }

  #see(node: string, incarnation: number): void {
    if (node === this.#init.node) this.own = Math.max(this.own ?? 0, incarnation);
  }
}
