import type { NatsConnection } from "@nats-io/transport-node";
import { ACCOUNT } from "../../shared/nats/server-config.ts";
import { serverId } from "../../shared/nats/server-control.ts";
import { systemRequest } from "../../shared/nats/system-request.ts";
import type { Log } from "../../shared/observe/log.ts";
import { heldQuestionSubject } from "../../shared/protocol/held-commands.ts";
import { type ListedSubscription, type Listeners, listenersOf, NOBODY_LISTENS } from "./listeners.ts";

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
  readonly subscriptions_list?: readonly ListedSubscription[];
}

const LOOK_EVERY_MS = 250;
const MOST_LISTED = 100_000;

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
  #listeners: Listeners | undefined;
  /** A list that is being read, and one that will be after it. */
  #running: Promise<void> | undefined;
  #next: Promise<Listeners> | undefined;

  constructor(init: HandlerWatchInit) {
    this.#init = init;
  }

  /** As `orders.Place` or `orders.>`, sorted; null: not known yet. */
  get handlers(): readonly string[] | null {
    return this.#listeners?.handlers ?? null;
  }

  /** Those of them for which a program listens that does not say which commands it has. */
  get silent(): readonly string[] {
    return this.#listeners?.silent ?? [];
  }

  /** Whether that connection was a handler's when the list was read last. */
  isHandler(connection: number): boolean {
    return this.#listeners?.connections.has(connection) ?? false;
  }

  start(): void {
    void this.#look();
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Who listens now, read once for all that ask meanwhile; not in a reading that has begun, which may know less than they.
   * @throws what the client throws: the server does not answer
   */
  list(): Promise<Listeners> {
    this.#next ??= (this.#running ?? Promise.resolve()).then(() => {
      const reading = this.#read();
      this.#next = undefined;
      const ended = reading.then(
        () => {},
        () => {},
      );
      this.#running = ended;
      return reading;
    });
    return this.#next;
  }

  async #read(): Promise<Listeners> {
    const { sys, node } = this.#init;
    const nc = sys();
    if (nc === undefined || nc.info === undefined) return NOBODY_LISTENS;
    const options = { subscriptions: true, acc: ACCOUNT.cim, limit: MOST_LISTED };
    const listed = await systemRequest<Subsz>(nc, `$SYS.REQ.SERVER.${serverId(nc)}.SUBSZ`, options);
    return listenersOf(listed.subscriptions_list ?? [], node, heldQuestionSubject(node));
  }

  async #look(): Promise<void> {
    const { sys, log } = this.#init;
    const nc = sys();
    if (this.#looking || nc === undefined || nc.isClosed() || nc.info === undefined) return;
    this.#looking = true;
    try {
      // The counts cost the server nothing; the list only when somebody came or went.
      const subject = `$SYS.REQ.SERVER.${serverId(nc)}.SUBSZ`;
      const { num_inserts, num_removes } = await systemRequest<Subsz>(nc, subject, {});
      const counted = `${serverId(nc)} ${num_inserts} ${num_removes}`;
      if (counted === this.#counted) return;
      const listeners = await this.list();
      this.#counted = counted;
      this.#take(listeners);
    } catch (error) {
      log.debug({ err: error }, "the server's subscriptions can't be listed");
    } finally {
      this.#looking = false;
    }
  }

  #take(listeners: Listeners): void {
    const before = this.#listeners;
    this.#listeners = listeners;
    const isAsBefore =
      before !== undefined &&
      String(before.handlers) === String(listeners.handlers) &&
      String(before.silent) === String(listeners.silent);
    if (!isAsBefore) this.#init.onChange();
  }
}
