import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { isProgramInbox } from "../../shared/protocol/commands.ts";
import { COMMIT_QUEUE, nodeCommits, parseCommit, refuseCommit } from "../../shared/protocol/commit.ts";

/** Why a commit can't be taken: a strong domain's events are stored by the hub alone. Pure. */
export function refusalText(node: string, domain: string, sinceMs: number): string {
  const since = new Date(sinceMs).toISOString().slice(0, 19);
  return `${domain} is strong and its events are stored by the hub, to which ${node} has had no link since ${since}Z: nothing was stored; send it again, with the same id, when the link is back`;
}

/**
 * Answers commits of the node's programs while its link is down, so that they hear why at once. A member of the queue group
 * that the sequencer is in: each commit is heard by one of them, and what is refused here the hub never hears.
 */
export class CommitRefuser {
  readonly #node: string;
  #subscription: Subscription | undefined;

  constructor(node: string) {
    this.#node = node;
  }

  /** The link is down. */
  open(nc: NatsConnection, sinceMs = Date.now()): void {
    this.#subscription ??= nc.subscribe(nodeCommits(this.#node), {
      queue: COMMIT_QUEUE,
      callback: (error, message) => {
        if (error || !isProgramInbox(message.reply)) return;
        const domain = parseCommit(message.subject)?.domain ?? "the domain";
        const reply = refuseCommit("offline", refusalText(this.#node, domain, sinceMs));
        message.respond(JSON.stringify(reply));
      },
    });
  }

  close(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }
}
