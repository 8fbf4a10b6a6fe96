import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { positionOf } from "../../../shared/follow/read-history.ts";
import { getMessage } from "../../../shared/nats/get-message.ts";
import { headerTextOf } from "../../../shared/nats/raw-message.ts";
import type { Log } from "../../../shared/observe/log.ts";
import { answeredSubject, isProgramInbox } from "../../../shared/protocol/commands.ts";
import {
  COMMIT_QUEUE,
  COMMIT_SUBJECT,
  type CommitReply,
  parseCommit,
  refuseCommit,
} from "../../../shared/protocol/commit.ts";
import { STREAM } from "../../../shared/protocol/names.ts";
import { purgedVersion } from "./purged-versions.ts";
import { type Commit, readCommit } from "./read-commit.ts";

export interface CommitRequestsInit {
  readonly nc: NatsConnection;
  readonly hub: string;
  readonly log: Log;
  readonly onCommit: (node: string, token: number, commit: Commit) => void;
}

interface Asker {
  readonly node: string;
  readonly inbox: string;
}

/** Hears what nodes' programs commit, and tells each what became of it. */
export class CommitRequests {
  readonly #init: CommitRequestsInit;
  readonly #askers = new Map<number, Asker>();
  #nextToken = 1;
  #subscription: Subscription | undefined;

  constructor(init: CommitRequestsInit) {
    this.#init = init;
  }

  open(): void {
    this.#subscription ??= this.#init.nc.subscribe(COMMIT_SUBJECT.all, {
      queue: COMMIT_QUEUE,
      callback: (error, message) => {
        if (!error) this.#onMessage(message);
      },
    });
  }

  /** Hears no more; what was heard may still be answered. */
  close(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  /** @param reply undefined: what became of it is not known here, so nothing is said */
  answer(token: number, reply: CommitReply | undefined): void {
    const asker = this.#askers.get(token);
    this.#askers.delete(token);
    if (asker && reply) this.#tell(asker, reply);
  }

  #onMessage(message: Msg): void {
    const address = parseCommit(message.subject);
    // Published without waiting for an answer: it is committed all the same, if it can be.
    const inbox = isProgramInbox(message.reply) ? message.reply : undefined;
    const asker = inbox === undefined ? undefined : { node: address?.node ?? "", inbox };
    const commit = address
      ? readCommit(address, headerTextOf(message), message.data, Date.now() * 1000)
      : refuseCommit("event", "write cim.events.<domain>.<aggregate>.<Type>");
    if (!address || "error" in commit) {
      if (asker && "error" in commit) this.#tell(asker, commit);
      return;
    }
    const token = this.#nextToken++;
    if (asker) this.#askers.set(token, asker);
    this.#init.onCommit(address.node, token, commit);
  }

  /** Programs elsewhere hear answers where their node's link lets them pass. */
  #tell({ node, inbox }: Asker, reply: CommitReply): void {
    const { nc, hub } = this.#init;
    if (nc.isClosed()) return;
    nc.publish(node === hub ? inbox : answeredSubject(node, inbox), JSON.stringify(reply));
  }
}

/**
 * The log's index of the newest event of an aggregate; 0: it has none. Undefined: what stands there no sequencer wrote.
 * @throws the client's error
 */
export async function readVersion(nc: NatsConnection, aggregate: string): Promise<number | undefined> {
  const newest = await getMessage(nc, STREAM.events, { last_by_subj: aggregate });
  return newest ? positionOf(newest)?.index : await purgedVersion(nc, aggregate);
}
