import type { NatsConnection } from "@nats-io/transport-node";
import { ACCOUNT } from "../../shared/nats/server-config.ts";
import { serverId } from "../../shared/nats/server-control.ts";
import { systemRequest } from "../../shared/nats/system-request.ts";
import type { Log } from "../../shared/observe/log.ts";
import { routedCommandPrefix } from "../../shared/protocol/commands.ts";

export interface HandlerWatchInit {
  /** A connection to the node's own server in its system account; undefined while there is none. */
  readonly sys: () => NatsConnection | undefined;
  readonly node: string;
  readonly onChange: () => void;
  readonly log: Log;
}

/** nats-server's `Subsz` (server/monitor.go), the parts that are used. */
interface Subsz {
  readonly num_inserts: number;
  readonly num_removes: number;
  readonly subscriptions_list?: readonly { readonly subject: string }[];
}

const LOOK_EVERY_MS = 250;
const MOST_LISTED = 100_000;
const MOST_HANDLERS = 10_000;

/**
 * Which commands programs on this node listen for: what the node's own server says they subscribe to. So any client's
 * subscription counts, in any language, and a program that died counts no more, without anybody announcing anything.
 */
export class HandlerWatch {
  readonly #init: HandlerWatchInit;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** The server's counts of subscriptions made and ended when the list was read. */
  #counted = "";
  #handlers: readonly string[] | null = null;

  constructor(init: HandlerWatchInit) {
    this.#init = init;
  }

  /** As `orders.Place` or `orders.>`, sorted; null: not known yet. */
  get handlers(): readonly string[] | null {
    return this.#handlers;
  }

  start(): void {
    void this.#look();
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { sys, log } = this.#init;
    const nc = sys();
    if (this.#looking || nc === undefined || nc.isClosed() || nc.info === undefined) return;
    this.#looking = true;
    try {
      const subject = `$SYS.REQ.SERVER.${serverId(nc)}.SUBSZ`;
      // The counts cost the server nothing; the list only when somebody came or went.
      const { num_inserts, num_removes } = await systemRequest<Subsz>(nc, subject, {});
      const counted = `${serverId(nc)} ${num_inserts} ${num_removes}`;
      if (counted === this.#counted) return;
      const options = { subscriptions: true, acc: ACCOUNT.cim, limit: MOST_LISTED };
      const listed = await systemRequest<Subsz>(nc, subject, options);
      this.#counted = counted;
      this.#take(listed.subscriptions_list ?? []);
    } catch (error) {
      log.debug({ err: error }, "the server's subscriptions can't be listed");
    } finally {
      this.#looking = false;
    }
  }

  #take(listed: NonNullable<Subsz["subscriptions_list"]>): void {
    const prefix = routedCommandPrefix(this.#init.node);
    const heard = listed.filter(({ subject }) => subject.startsWith(prefix));
    const handlers = [...new Set(heard.map(({ subject }) => subject.slice(prefix.length)))].sort();
    if (String(handlers) === String(this.#handlers)) return;
    this.#handlers = handlers.slice(0, MOST_HANDLERS);
    this.#init.onChange();
  }
}
